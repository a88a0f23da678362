// Package scale measures the operator with many relays: how fast it brings them up, beside a client that applies the same
// objects and knows nothing of relays; what it asks of the API server and how much memory it has once they are up; and
// what a restart costs. API server and manager are real, processes of their own; what runs pods is a stand-in. It must not
// know how the operator works: it reads what the API server and the manager tell of themselves.
package scale
