package controllers

import (
	"math/bits"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// A namespace is one business here: its relays share what one may write to strangers, so that splitting it over many numbers
// wins nothing. Each relay is told how many there are and what the others have reported, never to whom anybody wrote.

// conductOf is what the other relays of its namespace are told of a relay.
type conductOf struct {
	first  int64
	held   bool
	silent bool // it runs and does not answer
}

// conducts remembers that of all relays, so that a pass need not read a namespace's.
type conducts struct {
	mu sync.Mutex // guards of
	of map[string]map[string]conductOf
}

// note remembers a relay's, and says whether the others have to be told.
func (c *conducts) note(relay *v1alpha1.BusinessRelay) (changed bool) {
	s := relay.Status
	keys := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionKeysReady)
	is := conductOf{silent: keys != nil && keys.Reason == v1alpha1.ReasonRelayUnreachable && !relay.Spec.Suspend}
	if s.Integrity.DailyLimit > 0 { // one without a limit is exempt, or has proved itself: the others need not answer for it
		is.first, is.held = s.Integrity.FirstContacts, s.Integrity.Held
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]map[string]conductOf{}
	}
	relays := c.of[relay.Namespace]
	if relays == nil {
		relays = map[string]conductOf{}
		c.of[relay.Namespace] = relays
	}
	was, there := relays[relay.Name]
	relays[relay.Name] = is
	return was != is || !there && isPower(len(relays)-1)
}

// forget forgets a relay that is gone.
func (c *conducts) forget(relay types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of[relay.Namespace], relay.Name)
	if len(c.of[relay.Namespace]) == 0 {
		delete(c.of, relay.Namespace)
	}
}

// others lists the other relays of a relay's namespace.
func (c *conducts) others(relay types.NamespacedName) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.of[relay.Namespace] {
		if name != relay.Name {
			names = append(names, name)
		}
	}
	return names
}

// isPower says whether n is a power of two, or 0.
func isPower(n int) bool { return n&(n-1) == 0 }

// told is what a relay is told of the others in its namespace.
func (c *conducts) told(relay types.NamespacedName) contract.Integrity {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := contract.Integrity{Version: contract.IntegrityVersion, Relays: 1}
	for name, is := range c.of[relay.Namespace] {
		if name == relay.Name {
			continue
		}
		i.Relays++
		i.Others = min(i.Others+is.first, contract.MaxFirstContacts)
		i.OthersHeld = i.OthersHeld || is.held
		if is.silent {
			i.Silent++
		}
	}
	// Rounded up, so that a new relay changes all others' files seldom.
	i.Relays = min(int64(1)<<bits.Len64(uint64(i.Relays-1)), contract.MaxNamespaceRelays)
	i.Silent = min(i.Silent, i.Relays)
	return i
}

// integrity is what holds for the relay's first contacts.
func (p *pass) integrity() contract.Integrity {
	key := client.ObjectKeyFromObject(p.relay)
	i := p.conducts.told(key)
	rules := p.region.Spec.Integrity
	switch {
	case rules.Exempts(key.Namespace, key.Name):
		i.Limits = contract.LimitsExempt
	case rules.FirstContacts == v1alpha1.FirstContactsCounted:
		i.Limits = contract.LimitsOff
	default:
		i.Limits = contract.LimitsEnforced
	}
	if i.Limits != contract.LimitsEnforced { // what others do makes no difference then
		i = contract.Integrity{Version: i.Version, Limits: i.Limits, Relays: 1}
	}
	i.YellowPercent, i.RedPercent = int64(rules.Thresholds.YellowPercent), int64(rules.Thresholds.RedPercent)
	return i
}

// learnConduct takes over what a relay says of its conduct, if that can be; a former release says nothing.
func (p *pass) learnConduct(s *contract.IntegrityStatus) {
	if s == nil || s.FirstContacts < 0 || s.FirstContacts > contract.MaxFirstContacts || s.DailyLimit < 0 || s.DailyLimit > contract.MaxFirstContacts {
		return
	}
	p.status.Integrity = v1alpha1.IntegrityStatus(*s)
}
