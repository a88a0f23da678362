// Package media is what a relay knows about files: their kinds and sizes, the encryption
// under which they travel (aesgcm URLs, XEP-0454), and their transfer over HTTP to and from
// the carrier's upload service and from a business's own links. Everything streams: no file
// is ever in memory whole. The package must not know where files are kept, what a message
// is, or what a carrier is beyond its web server.
package media
