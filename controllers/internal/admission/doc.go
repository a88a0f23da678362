// Package admission tests what the API server refuses on this project's behalf:
// the rules in the schemas of config/crd/bases and the admission policies of
// config/admission. It holds no code of the product.
package admission
