package cloudapi

// Whether messages can be sent, worst last.
const (
	available = "AVAILABLE"
	limited   = "LIMITED"
	blocked   = "BLOCKED"
)

// healthStatus is the field health_status (developers.facebook.com, "Messaging health status").
type healthStatus struct {
	CanSend  string         `json:"can_send_message"`
	Entities []healthEntity `json:"entities"`
}

type healthEntity struct {
	Type    string        `json:"entity_type"`
	ID      string        `json:"id"`
	CanSend string        `json:"can_send_message"`
	Errors  []healthError `json:"errors,omitempty"`
	Info    []string      `json:"additional_info,omitempty"`
}

type healthError struct {
	Code        int    `json:"error_code"`
	Description string `json:"error_description"`
	Solution    string `json:"possible_solution"`
}

// health is the health of one object. What keeps the business from sending is an error; what only
// limits it is information.
func (a *API) health(kind, id string) healthStatus {
	e := healthEntity{Type: kind, ID: id, CanSend: available}
	for _, p := range a.Problems() {
		if p.Blocks {
			e.CanSend = blocked
			e.Errors = append(e.Errors, healthError{CodeUnavailable, p.Description, p.Solution})
			continue
		}
		if e.CanSend == available {
			e.CanSend = limited
		}
		e.Info = append(e.Info, p.Description+": "+p.Solution)
	}
	return healthStatus{CanSend: e.CanSend, Entities: []healthEntity{e}}
}
