package cloudapi

import "context"

// Profile is what the business says about itself.
type Profile struct {
	About       string   `json:"about,omitempty"`
	Address     string   `json:"address,omitempty"`
	Description string   `json:"description,omitempty"`
	Email       string   `json:"email,omitempty"`
	Vertical    string   `json:"vertical,omitempty"`
	Websites    []string `json:"websites,omitempty"`
}

// Profiles keeps what the business says about itself where the BusinessRelay is silent.
type Profiles interface {
	// Profile returns it; the zero value if nothing was said yet.
	Profile(ctx context.Context) (Profile, error)
	// PutProfile replaces it durably.
	PutProfile(ctx context.Context, p Profile) error
}
