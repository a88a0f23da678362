package probe

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
)

// release compares what the relay's pods run with the digests of the release's images.
func (a *auditor) release(s *subject) audit.Outcome {
	switch {
	case a.Released == nil:
		return notTried("give the release's images.txt with --release, and its public key with --release-key")
	case s.pods.err != nil || len(s.pods.value) == 0:
		return s.noPod()
	}
	for i := range s.pods.value {
		pod := &s.pods.value[i]
		if o := a.released(pod); o.State != audit.Kept {
			return o
		}
	}
	return kept("every container runs an image of the release")
}

// released compares one pod.
func (a *auditor) released(pod *corev1.Pod) audit.Outcome {
	all := slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses)
	if len(all) == 0 {
		return notTried("no node has said what pod %s runs", pod.Name)
	}
	show := fmt.Sprintf("kubectl get pod %s -n %s -o jsonpath='{.status.containerStatuses[*].imageID}'", pod.Name, pod.Namespace)
	for _, c := range all {
		_, digest, found := strings.Cut(c.ImageID, "@")
		switch {
		case !found:
			return notTried("the node of pod %s knows no digest of its image: it came from no registry", pod.Name)
		case !slices.Contains(a.Released, digest):
			return broken(show, "pod %s runs an image that is not the release's", pod.Name)
		}
	}
	return kept("pod %s runs an image of the release", pod.Name)
}
