package contract

// ContainerProbe names the only container of a pod that tries the network.
const ContainerProbe = "probe"

// Flags of relay probe.
const (
	FlagProbeOpen   = "open"
	FlagProbeClosed = "closed"
)

// ProbeResult is what a pod that tries the network reports, as its termination message: by places, HOST:PORT as they were
// given to it, whether a connection came about at the last attempt.
type ProbeResult struct {
	Version int             `json:"version"`
	Reached map[string]bool `json:"reached"`
}

// ProbeResultVersion is the version of ProbeResult that this build writes.
const ProbeResultVersion = 1
