package desired

import (
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// ReceiverWebhook is what a Transfer calls the webhook.
const ReceiverWebhook = "webhook"

// ReceiverProcessor is what a Transfer calls a processor.
func ReceiverProcessor(name string) string { return "processor " + name }

// Transfers lists the receivers of a relay that declare a country outside its region and, where the region forbids
// transfers, those that declare none.
func Transfers(relay *v1alpha1.BusinessRelay, region *v1alpha1.DataRegion) (all []v1alpha1.Transfer) {
	forbidden := region.Spec.Transfers == v1alpha1.TransfersForbid
	look := func(receiver string, country v1alpha1.CountryCode) {
		if country == "" && !forbidden || country != "" && region.Spec.Contains(country) {
			return
		}
		all = append(all, v1alpha1.Transfer{Receiver: receiver, Country: string(country), Forbidden: forbidden})
	}
	if w := relay.Spec.Webhook; w != nil {
		look(ReceiverWebhook, w.Country)
	}
	for _, p := range relay.Spec.Processors {
		look(ReceiverProcessor(p.Name), p.Country)
	}
	return all
}

// withheld says whether the region forbids a receiver.
func (in Input) withheld(receiver string) bool {
	for _, t := range Transfers(in.Relay, in.Region) {
		if t.Receiver == receiver {
			return t.Forbidden
		}
	}
	return false
}

// webhook is the one that the relay is given; nil for none.
func (in Input) webhook() *v1alpha1.Webhook {
	if in.withheld(ReceiverWebhook) {
		return nil
	}
	return in.Relay.Spec.Webhook
}

// processors are those that the relay is given.
func (in Input) processors() (given []v1alpha1.Processor) {
	for _, p := range in.Relay.Spec.Processors {
		if !in.withheld(ReceiverProcessor(p.Name)) {
			given = append(given, p)
		}
	}
	return given
}
