// Package clients holds the tests of the clients that customers use, each driven through
// its own window, terminal or page. They state what a customer and a business see of each
// other, and print it as a table: see docs/clients.md. `make clients` runs them; they take
// minutes, and install the clients.
package clients
