// Package webhook delivers events to the business: it runs the handshake in which the business's
// receiver proves that it wants the deliveries, makes the payloads of the WhatsApp Cloud API,
// has them encrypted if the business asks for that, signs them, and posts them until they are
// accepted. It must not know where a message comes from, how the queue of deliveries is stored (it
// gets jobs whose bodies are finished payloads) or how a JWE is made.
package webhook
