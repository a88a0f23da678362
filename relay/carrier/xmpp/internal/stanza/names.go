package stanza

// Namespaces.
const (
	NSClient    = "jabber:client"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	NSStream    = "http://etherx.jabber.org/streams"
	NSStanzas   = "urn:ietf:params:xml:ns:xmpp-stanzas"
	NSStreams   = "urn:ietf:params:xml:ns:xmpp-streams"
	NSTLS       = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL      = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBindings  = "urn:xmpp:sasl-cb:0" // XEP-0440
	NSBind      = "urn:ietf:params:xml:ns:xmpp-bind"
	NSSM        = "urn:xmpp:sm:3"                            // XEP-0198
	NSRegister  = "jabber:iq:register"                       // XEP-0077
	NSPreauth   = "urn:xmpp:pars:0"                          // XEP-0445
	NSOMEMO     = "eu.siacs.conversations.axolotl"           // XEP-0384 v0.3
	NSOMEMO2    = "urn:xmpp:omemo:2"                         // XEP-0384 v0.9
	NSEME       = "urn:xmpp:eme:0"                           // XEP-0380
	NSHints     = "urn:xmpp:hints"                           // XEP-0334
	NSReceipts  = "urn:xmpp:receipts"                        // XEP-0184
	NSMarkers   = "urn:xmpp:chat-markers:0"                  // XEP-0333
	NSStates    = "http://jabber.org/protocol/chatstates"    // XEP-0085
	NSDelay     = "urn:xmpp:delay"                           // XEP-0203
	NSPubSub    = "http://jabber.org/protocol/pubsub"        // XEP-0060
	NSEvent     = "http://jabber.org/protocol/pubsub#event"  //
	NSOwner     = "http://jabber.org/protocol/pubsub#owner"  //
	nsPSErrors  = "http://jabber.org/protocol/pubsub#errors" //
	NSPSOpts    = "http://jabber.org/protocol/pubsub#publish-options"
	NSPSConfig  = "http://jabber.org/protocol/pubsub#node_config"
	NSForm      = "jabber:x:data"                         // XEP-0004
	NSDisco     = "http://jabber.org/protocol/disco#info" // XEP-0030
	NSCaps      = "http://jabber.org/protocol/caps"       // XEP-0115
	NSArchive   = "urn:xmpp:mam:2"                        // XEP-0313
	NSForward   = "urn:xmpp:forward:0"                    // XEP-0297
	NSStanzaID  = "urn:xmpp:sid:0"                        // XEP-0359
	NSSet       = "http://jabber.org/protocol/rsm"        // XEP-0059
	NSPing      = "urn:xmpp:ping"                         // XEP-0199
	NSNick      = "http://jabber.org/protocol/nick"       // XEP-0172
	NSVCard     = "vcard-temp"                            // XEP-0054
	NSPicture   = "urn:xmpp:avatar:data"                  // XEP-0084
	NSPictures  = "urn:xmpp:avatar:metadata"              // XEP-0084
	NSReporting = "urn:xmpp:reporting:1"                  // XEP-0377
	NSJID       = "urn:xmpp:jid:0"                        // of the element jid in a report
	NSProfile   = "urn:relaykeep:profile:0"               // our own: what we published of the profile
)

// PEP nodes of legacy OMEMO and the one item in each. Of those of OMEMO2, the one of the bundles has an
// item for each device, whose id is the device's.
const (
	NodeDevices  = NSOMEMO + ".devicelist"
	NodeBundles  = NSOMEMO + ".bundles:" // and the device id
	NodeDevices2 = NSOMEMO2 + ":devices"
	NodeBundles2 = NSOMEMO2 + ":bundles"
	ItemCurrent  = "current"
)
