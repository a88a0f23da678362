package webhook

import "encoding/json"

// StatusIn returns the status of the business's message that a finished payload tells of; empty for another
// payload.
func StatusIn(payload []byte) string {
	var w struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Statuses []struct {
						Status string `json:"status"`
					} `json:"statuses"`
				} `json:"value"`
			} `json:"changes"`
		} `json:"entry"`
	}
	if json.Unmarshal(payload, &w) != nil || len(w.Entry) != 1 || len(w.Entry[0].Changes) != 1 || len(w.Entry[0].Changes[0].Value.Statuses) != 1 {
		return ""
	}
	return w.Entry[0].Changes[0].Value.Statuses[0].Status
}
