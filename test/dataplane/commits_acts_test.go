package dataplane_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/rig"
)

// picture is the content of files.
const picture = "\x89PNG\r\n\x1a\npixels"

// begins is by how much earlier than now it is for the relay at first. Its key in Vault is never too old for it then.
const begins = -60 * 24 * time.Hour

// act makes the relay commit something, and sees that it did.
type act struct {
	name string
	do   func(*stage)
}

// acts are in the order of time: some make it later for the relay.
func acts() []act {
	return []act{
		{"first texts", func(s *stage) { s.talk("first") }},
		{"further texts", func(s *stage) { s.talk("second"); s.talk("third"); s.talk("fourth") }},
		{"answers, reactions and read marks", (*stage).remarks},
		{"files", (*stage).sendFiles},
		{"a recipient without an account", (*stage).sendToNobody},
		{"blocks, templates and the profile", (*stage).configureByAPI},
		{"contact requests", (*stage).askShyCustomers},
		{"a second device", (*stage).addDevice},
		{"a first message without an answer", (*stage).stayAway},
		{"a device that lost its session", (*stage).loseSession},
		{"an erased customer", (*stage).eraseCustomer},
		{"an audit's canary", (*stage).endCanary},
		{"rotated keys", (*stage).rotateKeys},
		{"a receiver that is down for a week", (*stage).buryLetters},
		{"a database that was restored", (*stage).restoreDatabase},
		{"the end of the retention", (*stage).outliveRetention},
	}
}

// killedIn waits until the process was killed at both boundaries of the places in a function.
func (s *stage) killedIn(function string) {
	s.t.Helper()
	await.Until(s.t, "it is killed in "+function, func() bool { return s.wasKilledIn(function) })
}

func (s *stage) wasKilledIn(function string) bool {
	hit := s.Killed()
	for _, c := range s.kills {
		for _, moment := range []string{rig.Before, rig.After} {
			if strings.Contains(c.in, function+" ") && !slices.Contains(hit, c.at+" "+moment) {
				return false
			}
		}
	}
	return true
}

// restart kills the process; it is started again.
func (s *stage) restart() { s.Process().Kill() }

func (s *stage) remarks() {
	in, out := s.talk("fifth")
	shown := s.p.Shown("business: fifth")
	told := s.WaitText("customer: fifth")
	s.ask(http.MethodPost, "/"+s.NumberID+"/messages", map[string]string{"messaging_product": "whatsapp", "status": "read", "message_id": told.ID})
	s.p.Learns(customer.Read, in)
	s.send(s.p, map[string]any{"type": "reaction", "reaction": map[string]string{"message_id": told.ID, "emoji": "👍"}})
	s.p.Wait("the reaction", func(e customer.Event) bool { return e.Kind == customer.Reacted && e.ID == in })
	s.p.Reacts(s, shown.ID, "👎")
	s.WaitUpdate("the customer's reaction", func(u webhooktest.Update) bool { return u.Type == "reaction" && u.About == out })
	s.p.SaysAbout(s, "customer: an answer", carrier.References{ReplyTo: shown.ID})
	s.heard = append(s.heard, "customer: an answer")
	s.WaitText("customer: an answer")
	again := s.p.SaysAbout(s, "customer: an anwser", carrier.References{})
	s.WaitText("customer: an anwser")
	s.p.TakesBack(s, again)
	s.WaitUpdate("that it was taken back", func(u webhooktest.Update) bool { return u.Type == "revoke" })
}

// keep uploads a file and returns its id.
func (s *stage) keep() string {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(s.t, form.WriteField("messaging_product", "whatsapp"))
	part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="a file"`}, "Content-Type": {"image/png"}})
	check(s.t, err)
	_, err = part.Write([]byte(picture))
	check(s.t, err)
	check(s.t, form.Close())
	var kept struct{ ID string }
	check(s.t, json.Unmarshal([]byte(s.askWith(http.MethodPost, "/"+s.NumberID+"/media", form.FormDataContentType(), body.Bytes())), &kept))
	return kept.ID
}

func (s *stage) sendFiles() {
	_, err := s.p.SendFile(s.t.Context(), s.Phone(), "garden.png", strings.NewReader(picture), int64(len(picture)))
	check(s.t, err)
	s.WaitUpdate("a picture", func(u webhooktest.Update) bool { return u.Type == "image" })
	file := s.keep()
	for _, image := range []map[string]string{{"id": file}, {"link": s.files.URL + "/picture.png"}} {
		s.WaitStatus(s.send(s.p, map[string]any{"type": "image", "image": image}), "read")
	}
	if n := s.p.Count(func(e customer.Event) bool { _, err := media.ParseFileURL(e.Text); return err == nil }); n != 2 {
		s.t.Errorf("the customer has two files %d times", n)
	}
	s.ask(http.MethodDelete, "/"+file, nil)
	link := media.NewFileURL()
	link.URL = "https://" + shared.prosody.UploadAddr + "/file_share/none/none.png"
	s.p.Says(s, link.Text())
	s.WaitUpdate("that a file could not be fetched", func(u webhooktest.Update) bool { return u.Code == 131052 })
}

func (s *stage) sendToNobody() {
	answer := s.ask(http.MethodPost, "/"+s.NumberID+"/messages", map[string]any{
		"messaging_product": "whatsapp", "to": shared.Number(), "text": map[string]string{"body": "to nobody"},
	})
	s.WaitStatus(rig.MessageID(answer), "failed")
}

func (s *stage) configureByAPI() {
	block := map[string]any{"messaging_product": "whatsapp", "block_users": []any{map[string]string{"user": shared.Number()}}}
	s.ask(http.MethodPost, "/"+s.NumberID+"/block_users", block)
	s.ask(http.MethodDelete, "/"+s.NumberID+"/block_users", block)
	s.ask(http.MethodPost, "/"+s.NumberID+"/whatsapp_business_profile", map[string]string{"messaging_product": "whatsapp", "about": "flowers"})
	id := ""
	await.Until(s.t, "a report", func() bool { id = s.Report().BusinessAccountID; return id != "" })
	path := rig.Version + "/" + id + "/message_templates"
	body := []byte(`{"name":"order","language":"en_US","category":"UTILITY","components":[{"type":"BODY","text":"Ready."}]}`)
	// It is not done once by a key: after a kill it may be there already.
	for range 3 {
		await.Until(s.t, "a template", func() bool {
			status, answer, err := s.Try(s.Token, http.MethodPost, path, "application/json", body)
			return err == nil && (status == http.StatusOK || strings.Contains(answer, "2388024"))
		})
		await.Until(s.t, "no template", func() bool {
			status, _, err := s.Try(s.Token, http.MethodDelete, path+"?name=order", "", nil)
			return err == nil && status < http.StatusInternalServerError
		})
	}
}

// askShyCustomers writes to customers who show their keys to contacts alone, until a kill came between what their server
// says once, an answer to a contact request and a list of devices, and what follows from it, at both moments.
func (s *stage) askShyCustomers() {
	const answered, listed = "outbound/contact.go ContactAnswered", "peers/devices.go DeviceList"
	for n := 0; n < 2 || n < 8 && (!s.wasKilledIn(answered) || !s.wasKilledIn(listed)); n++ {
		s.askShyCustomer()
	}
	s.killedIn(answered)
	s.killedIn(listed)
}

func (s *stage) askShyCustomer() {
	shy := customers.StartShy(s.t, shared.prosody, shared.Number())
	shy.Stop()
	shy.Name = "Ada"
	first := s.say(shy, "business: to a shy one, first")
	await.Until(s.t, "the customer is asked", func() bool { return s.listed("roster", shy.Number.Digits()) })
	second := s.say(shy, "business: to a shy one, second")
	s.restart()
	await.Until(s.t, "the link is up", func() bool { return s.connected() })
	shy.Start()
	for _, text := range []string{"business: to a shy one, first", "business: to a shy one, second"} {
		if n := shy.Sees(text); n != 1 {
			s.t.Errorf("a shy customer sees a text %d times", n)
		}
		delete(s.said, text)
	}
	s.WaitStatus(first, "read")
	s.WaitStatus(second, "read")
	shy.Says(s, "customer: from a shy one")
	s.WaitText("customer: from a shy one")
}

func (s *stage) connected() bool {
	for _, c := range s.Report().Conditions {
		if c.Type == contract.ConditionCarrierConnected {
			return c.Status == contract.True
		}
	}
	return false
}

func (s *stage) addDevice() {
	phone := newPerson(s.t)
	phone.Says(s, "from my phone")
	s.WaitText("from my phone")
	tablet := phone.Another("tablet")
	tablet.Says(s, "from my tablet")
	told := s.waitIdentity(false)
	id := s.send(phone, map[string]any{"text": map[string]string{"body": "for the tablet"}, "recipient_identity_key_hash": told.Identity})
	if n := tablet.Sees("for the tablet"); n != 1 {
		s.t.Errorf("the tablet sees it %d times", n)
	}
	s.WaitStatus(id, "read")
	s.say(phone, "for both")
	delete(s.said, "for both")
	if phone.Sees("for both") != 1 || tablet.Sees("for both") != 1 {
		s.t.Error("a device does not have it once")
	}
}

// stayAway has a customer be away while a first message waits for its answer.
func (s *stage) stayAway() {
	away := newPerson(s.t)
	away.Stop()
	id := s.say(away, "business: to one who is away")
	delete(s.said, "business: to one who is away")
	s.WaitStatus(id, "sent")
	s.SetLater(begins + 11*time.Minute)
	s.restart()
	await.Until(s.t, "the relay runs again", s.connected)
	s.killedIn("outbound/unanswered.go beginAgain")
	away.Start()
	if n := away.Sees("business: to one who is away"); n != 1 {
		s.t.Errorf("who was away sees it %d times", n)
	}
	s.WaitStatus(id, "read")
	away.Says(s, "customer: back")
	s.WaitText("customer: back")
}

// loseSession is a phone that is set back to before it knew the business.
func (s *stage) loseSession() {
	p, saved := newPerson(s.t), s.t.TempDir()
	p.Stop()
	check(s.t, os.CopyFS(saved, os.DirFS(p.Dir)))
	p.Start()
	p.Says(s, "customer: before the loss")
	s.WaitText("customer: before the loss")
	id := s.say(p, "business: before the loss")
	s.WaitStatus(id, "read")
	p.Stop()
	check(s.t, os.RemoveAll(p.Dir))
	check(s.t, os.CopyFS(p.Dir, os.DirFS(saved)))
	id = s.say(p, "business: in the lost session")
	s.WaitStatus(id, "sent")
	p.Start()
	if n := p.Sees("business: in the lost session"); n != 1 {
		s.t.Errorf("it is seen %d times", n)
	}
	s.WaitStatus(id, "read")
	delete(s.said, "business: before the loss")
	delete(s.said, "business: in the lost session")
}

func (s *stage) eraseCustomer() {
	gone := newPerson(s.t)
	gone.Says(s, "customer: who is erased")
	s.WaitText("customer: who is erased")
	file := s.keep()
	s.WaitStatus(s.send(gone, map[string]any{"type": "image", "image": map[string]string{"id": file}}), "read")
	s.ask(http.MethodDelete, "/"+s.NumberID+"/customers/"+gone.Number.Digits(), nil)
	if status, answer, err := s.Try(s.Token, http.MethodGet, rig.Version+"/"+s.NumberID+"/customers/"+gone.Number.Digits(), "", nil); err == nil && status == http.StatusOK {
		s.t.Errorf("who was erased is there: %s", answer)
	}
}

func (s *stage) endCanary() {
	s.ask(http.MethodPost, "/"+s.NumberID+"/canary", map[string]string{"number": aCanarysNumber()})
	await.Until(s.t, "the canary ends", func() bool {
		status, _, err := s.Try(s.Token, http.MethodDelete, rig.Version+"/"+s.NumberID+"/canary", "", nil)
		return err == nil && status < http.StatusInternalServerError // also once there is none any more
	})
}

func (s *stage) rotateKeys() {
	key := s.encryptsTo()
	s.Config.Rotation.Identity = 2
	s.ExpectEncrypted(key)
	s.Configure()
	s.restart()
	await.Until(s.t, "the relay runs again", s.connected)
	s.talk("after the rotation")
	s.p.Stop() // when it starts, it looks for the business's devices
	s.p.Start()
	s.talk("after the rotation, to the new device")
}

// buryLetters has a receiver be down for more than the week in which its webhooks are tried.
func (s *stage) buryLetters() {
	all := func() { s.ask(http.MethodPost, "/"+s.NumberID+"/dead_letters", map[string]bool{"all": true}) }
	for round, replay := range []func(){s.replayByID, all, all} {
		text := []string{"customer: letter, first", "customer: letter, second", "customer: letter, third"}[round]
		s.Wait(contract.ConditionWebhookVerified, contract.True, "")
		s.SetDown(true)
		s.p.Says(s, text)
		s.heard = append(s.heard, text)
		await.Until(s.t, "the webhook waits", func() bool { return s.Report().Counts.WebhookQueued > 0 })
		s.SetLater(begins + time.Duration(round+1)*8*24*time.Hour)
		await.Until(s.t, "it is a dead letter", func() bool { c := s.Report().Counts; return c.DeadLetters > 0 && c.WebhookQueued == 0 })
		s.SetDown(false)
		s.restart() // which has the receiver verified at once
		await.Until(s.t, text+" is delivered", func() bool {
			replay()
			return slices.ContainsFunc(s.Updates(), func(u webhooktest.Update) bool { return u.Text == text })
		})
	}
	s.talk("after the letters")
}

// replayByID replays what dead letters are listed. After a kill they may have been replayed already.
func (s *stage) replayByID() {
	path := rig.Version + "/" + s.NumberID + "/dead_letters"
	status, answer, err := s.Try(s.Token, http.MethodGet, path, "", nil)
	var list struct{ Data []struct{ ID string } }
	if err != nil || status != http.StatusOK || json.Unmarshal([]byte(answer), &list) != nil || len(list.Data) == 0 {
		return
	}
	ids := make([]string, len(list.Data))
	for i, l := range list.Data {
		ids[i] = l.ID
	}
	body, err := json.Marshal(map[string]any{"ids": ids})
	check(s.t, err)
	_, _, _ = s.Try(s.Token, http.MethodPost, path, "application/json", body) // it is called again
}

func (s *stage) restoreDatabase() {
	check(s.t, os.WriteFile(filepath.Join(s.Volume(), store.RestoredMarker), nil, 0o600))
	s.restart()
	await.Until(s.t, "the mark is gone", func() bool {
		_, err := os.Stat(filepath.Join(s.Volume(), store.RestoredMarker))
		return os.IsNotExist(err)
	})
	await.Until(s.t, "the relay runs again", s.connected)
	id := s.say(s.p, "business: after the restoration")
	s.WaitStatus(id, "read")
	s.talk("after the restoration, both ways")
}

// outliveRetention has all that was said pass the retention. The sessions go with it, so the business writes first: what a
// customer writes in a session that is gone cannot be read.
func (s *stage) outliveRetention() {
	s.SetLater(0)
	s.restart()
	await.Until(s.t, "the relay runs again", s.connected)
	swept := func() int { return bytes.Count(s.Log.Bytes(), []byte("swept the store")) }
	before := swept()
	await.Until(s.t, "it is swept", func() bool { return swept() > before+1 })
	s.WaitStatus(s.say(s.p, "business: after the retention, first"), "read")
	s.talk("after the retention")
	await.Until(s.t, "it is swept again and again", func() bool { return swept() > 20 })
}
