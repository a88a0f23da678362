package cloudapi

import (
	"fmt"
	"net/http"
	"strconv"
)

// paging leads from one page of an answer to the pages after and before it.
type paging struct {
	Cursors cursors `json:"cursors"`
	Next    string  `json:"next,omitempty"` // the next page's address
}

type cursors struct {
	After  string `json:"after,omitempty"`
	Before string `json:"before,omitempty"`
}

// pageLimit reads how many entries a page of the answer may have, 1 to most.
func pageLimit(r *http.Request, unlessTold, most int) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return unlessTold, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, errInvalidParameter(fmt.Sprintf("Param limit must be a number from 1 to %d.", most))
	}
	return n, nil
}
