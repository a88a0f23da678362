package v1alpha1

// CountryCode is a country, by its code in ISO 3166-1 alpha-2 as of 2024.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:XValidation:rule="self.matches('^(A[DEFGILMOQRSTUWXZ]|B[ABDEFGHIJLMNOQRSTVWYZ]|C[ACDFGHIKLMNORUVWXYZ]|D[EJKMOZ]|E[CEGHRST]|F[IJKMOR]|G[ABDEFGHILMNPQRSTUWY]|H[KMNRTU]|I[DELMNOQRST]|J[EMOP]|K[EGHIMNPRWYZ]|L[ABCIKRSTUVY]|M[ACDEFGHKLMNOPQRSTUVWXYZ]|N[ACEFGILOPRUZ]|OM|P[AEFGHKLMNRSTWY]|QA|R[EOSUW]|S[ABCDEGHIJKLMNORSTVXYZ]|T[CDFGHJKLMNORTVWZ]|U[AGMSYZ]|V[ACEGINU]|W[FS]|Y[ET]|Z[AMW])$')",message="write a country as the two capital letters of ISO 3166-1 alpha-2, for example CH, or GB for the United Kingdom"
type CountryCode string

// CABundle is one or more CA certificates in PEM that verify a server's certificate. It
// is public: a private key is refused.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=65536
// +kubebuilder:validation:XValidation:rule="self.contains('-----BEGIN CERTIFICATE-----')",message="caBundle must be PEM text: paste the certificates, each beginning with -----BEGIN CERTIFICATE-----"
// +kubebuilder:validation:XValidation:rule="!self.contains('PRIVATE KEY-----')",message="caBundle must contain certificates only: remove the private key, and replace it, because it has been disclosed"
type CABundle string

// Hostname is a DNS name in lower case.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write a DNS name in lower case, for example eu.example.org, without scheme, port or path"
type Hostname string

// HostPort is where a server listens: a DNS name or an IP address, a colon and a
// port. An IPv6 address is in brackets.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=262
// +kubebuilder:validation:XValidation:rule="self.matches('^([a-zA-Z0-9]([-.a-zA-Z0-9]*[a-zA-Z0-9])?|[[][0-9a-fA-F:.]+[]]):[1-9][0-9]{0,4}$')",message="write host:port, for example xmpp.example.org:5222, or [2001:db8::1]:5222 for an IPv6 address"
// +kubebuilder:validation:XValidation:rule="!self.matches(':[1-9][0-9]{0,4}$') || int(self.split(':')[self.split(':').size() - 1]) <= 65535",message="write a port from 1 to 65535, for example xmpp.example.org:5222"
type HostPort string

// ObjectName is the name of another Kubernetes object.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write the object's name as Kubernetes has it: lower-case letters, digits, hyphens and dots"
type ObjectName string
