// Package webhook delivers what happens to the business: it runs the handshake by
// which the business's receiver proves that it wants the deliveries, words the
// payloads of the WhatsApp Cloud API, signs them, and posts them until they are
// taken. It must not know where a message comes from nor how the queue of
// deliveries is kept: it gets jobs whose bodies are finished payloads.
package webhook
