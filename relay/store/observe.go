package store

// Observer is told about each commit, for tests that end the process there. Its functions must not use the store.
type Observer struct {
	// Begun is called by who begins a change, on their goroutine. What it returns names the change.
	Begun func() string
	// Committing is told which changes will be durable with the commit that comes next. All of it is written.
	Committing func(changes []string)
	// Committed is told that they are durable, before their callers are.
	Committed func(changes []string)
}

// observed is what a store does for its Observer.
type observed struct {
	*Observer          // nil: there is none
	changes   []string // of the running group
}

// begun returns a change's name.
func (o *observed) begun() string {
	if o.Observer == nil {
		return ""
	}
	return o.Begun()
}

// kept notes that a change is part of the running group.
func (o *observed) kept(change string) {
	if o.Observer != nil {
		o.changes = append(o.changes, change)
	}
}

func (o *observed) committing() {
	if o.Observer != nil {
		o.Committing(o.changes)
	}
}

func (o *observed) ended(err error) {
	if o.Observer != nil && err == nil {
		o.Committed(o.changes)
	}
	o.changes = o.changes[:0]
}
