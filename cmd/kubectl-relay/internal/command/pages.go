package command

import "net/url"

// paging is what an answer of the endpoint says about the next page of a list.
type paging struct {
	Cursors struct {
		After string `json:"after"`
	} `json:"cursors"`
}

// eachPage asks for the pages of a list, one after another, until one names no next. Ask gets a page by its query.
func eachPage(ask func(url.Values) (paging, error)) error {
	for after := ""; ; {
		query := url.Values{"limit": {"500"}}
		if after != "" {
			query.Set("after", after)
		}
		page, err := ask(query)
		if err != nil || page.Cursors.After == "" || page.Cursors.After == after {
			return err
		}
		after = page.Cursors.After
	}
}
