package xmpp

// Namespaces.
const (
	nsClient   = "jabber:client"
	nsXML      = "http://www.w3.org/XML/1998/namespace"
	nsStream   = "http://etherx.jabber.org/streams"
	nsStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsStreams  = "urn:ietf:params:xml:ns:xmpp-streams"
	nsTLS      = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL     = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBindings = "urn:xmpp:sasl-cb:0" // XEP-0440
	nsBind     = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSM       = "urn:xmpp:sm:3"                            // XEP-0198
	nsRegister = "jabber:iq:register"                       // XEP-0077
	nsPreauth  = "urn:xmpp:pars:0"                          // XEP-0445
	nsOMEMO    = "eu.siacs.conversations.axolotl"           // XEP-0384 v0.3
	nsEME      = "urn:xmpp:eme:0"                           // XEP-0380
	nsHints    = "urn:xmpp:hints"                           // XEP-0334
	nsReceipts = "urn:xmpp:receipts"                        // XEP-0184
	nsMarkers  = "urn:xmpp:chat-markers:0"                  // XEP-0333
	nsStates   = "http://jabber.org/protocol/chatstates"    // XEP-0085
	nsDelay    = "urn:xmpp:delay"                           // XEP-0203
	nsPubSub   = "http://jabber.org/protocol/pubsub"        // XEP-0060
	nsEvent    = "http://jabber.org/protocol/pubsub#event"  //
	nsOwner    = "http://jabber.org/protocol/pubsub#owner"  //
	nsPSErrors = "http://jabber.org/protocol/pubsub#errors" //
	nsPSOpts   = "http://jabber.org/protocol/pubsub#publish-options"
	nsPSConfig = "http://jabber.org/protocol/pubsub#node_config"
	nsForm     = "jabber:x:data"                         // XEP-0004
	nsDisco    = "http://jabber.org/protocol/disco#info" // XEP-0030
	nsCaps     = "http://jabber.org/protocol/caps"       // XEP-0115
	nsArchive  = "urn:xmpp:mam:2"                        // XEP-0313
	nsForward  = "urn:xmpp:forward:0"                    // XEP-0297
	nsStanzaID = "urn:xmpp:sid:0"                        // XEP-0359
	nsSet      = "http://jabber.org/protocol/rsm"        // XEP-0059
	nsPing     = "urn:xmpp:ping"                         // XEP-0199
)

// PEP nodes of legacy OMEMO and the one item in each.
const (
	nodeDevices = nsOMEMO + ".devicelist"
	nodeBundles = nsOMEMO + ".bundles:" // and the device id
	itemCurrent = "current"
)
