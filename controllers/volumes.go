package controllers

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// volumeAge is how long ago a volume may have been read: a relay that starts has several passes within seconds.
const volumeAge = time.Minute

// volumes remembers the volumes of relays that were read last. Volumes are not in the cache, which would hold all of the
// cluster. The zero value remembers nothing.
type volumes struct {
	mu   sync.Mutex // guards the following field
	kept map[client.ObjectKey]keptVolume
}

type keptVolume struct {
	volume *corev1.PersistentVolume // its name, and where it can be attached
	at     time.Time
}

// read returns a relay's volume of a name, nil if it was not read lately.
func (v *volumes) read(relay client.ObjectKey, name string, now time.Time) *corev1.PersistentVolume {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, has := v.kept[relay]
	if !has {
		return nil
	}
	if k.volume.Name != name || now.Sub(k.at) >= volumeAge {
		delete(v.kept, relay)
		return nil
	}
	return k.volume
}

func (v *volumes) keep(relay client.ObjectKey, volume *corev1.PersistentVolume, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kept == nil {
		v.kept = map[client.ObjectKey]keptVolume{}
	}
	small := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{NodeAffinity: volume.Spec.NodeAffinity}}
	small.Name = volume.Name
	v.kept[relay] = keptVolume{small, now}
}

func (v *volumes) forget(relay client.ObjectKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.kept, relay)
}
