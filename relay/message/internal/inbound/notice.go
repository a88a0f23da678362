package inbound

import (
	"cmp"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// noticeEvery is the least time between two notices to a customer.
const noticeEvery = 24 * time.Hour

// explain queues an encrypted notice that says how to switch encryption on, at most once a
// day, and notes that in c, which the caller writes. A customer without a device that reads
// OMEMO does not get it.
func (s *Inbound) explain(tx *store.Tx, c *store.Customer, language string, now time.Time) error {
	if s.NoNotices || !c.Noticed.IsZero() && now.Sub(c.Noticed) < noticeEvery {
		return nil
	}
	c.Noticed = now
	return s.PutTask(tx, store.Message{
		ID: store.NewMessageID(), Direction: store.Outbound, Customer: c.ID, Type: record.TypeNotice, CarrierID: store.NewCarrierID(),
		State: record.StateAccepted, Created: now, Updated: now,
	}, record.Content{Text: cmp.Or(s.Notice, notice(language))}, record.KindText)
}

// notice returns the notice in a language, named by its tag (BCP 47), or in English.
func notice(tag string) string {
	language, _, _ := strings.Cut(strings.ToLower(tag), "-")
	switch language {
	case "de":
		return "Ihre Nachricht war nicht mit OMEMO verschlüsselt und wurde deshalb nicht angenommen. " +
			"Bitte schalten Sie in diesem Chat die OMEMO-Verschlüsselung ein (meist über das Schloss-Symbol) und senden Sie die Nachricht noch einmal."
	case "es":
		return "Su mensaje no estaba cifrado con OMEMO y por eso no se ha aceptado. " +
			"Active el cifrado OMEMO en este chat (normalmente con el icono del candado) y envíe el mensaje de nuevo."
	case "fr":
		return "Votre message n’était pas chiffré avec OMEMO et n’a donc pas été accepté. " +
			"Activez le chiffrement OMEMO dans cette conversation (en général avec l’icône du cadenas), puis envoyez le message à nouveau."
	case "it":
		return "Il suo messaggio non era cifrato con OMEMO e quindi non è stato accettato. " +
			"Attivi la cifratura OMEMO in questa chat (di solito con l’icona del lucchetto) e invii di nuovo il messaggio."
	case "nl":
		return "Uw bericht was niet met OMEMO versleuteld en is daarom niet aangenomen. " +
			"Schakel in dit gesprek OMEMO-versleuteling in (meestal via het slotje) en stuur het bericht opnieuw."
	case "pl":
		return "Twoja wiadomość nie była zaszyfrowana za pomocą OMEMO i dlatego nie została przyjęta. " +
			"Włącz szyfrowanie OMEMO w tej rozmowie (zwykle ikoną kłódki) i wyślij wiadomość ponownie."
	case "pt":
		return "A sua mensagem não estava encriptada com OMEMO e por isso não foi aceite. " +
			"Ative a encriptação OMEMO nesta conversa (normalmente no ícone do cadeado) e envie a mensagem novamente."
	}
	return "Your message was not encrypted with OMEMO and was not accepted. " +
		"Please switch on OMEMO encryption in this chat (usually with the padlock icon) and send the message again."
}
