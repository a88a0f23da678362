package v1alpha1

// Types of conditions. Polarity: "true is good" unless it says otherwise. Every
// condition carries the generation that it was computed for.
const (
	// ConditionReady says whether the object works: a DataRegion accepts relays; a
	// BusinessRelay receives, delivers and sends messages, or is stopped as spec.suspend
	// asks (reason Suspended). It sums up the others and is computed last. True is good.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator is still bringing the object to its
	// desired state, and absent otherwise (kstatus). True means unfinished.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when nothing progresses until somebody changes something,
	// and absent otherwise (kstatus). True is bad; the message says what to change.
	ConditionStalled = "Stalled"

	// ConditionPlaced says whether the region has a node and a storage class for
	// the relay. While it is False, the operator starts nothing. True is good.
	ConditionPlaced = "Placed"
	// ConditionKeysReady says whether the relay has its identity and data keys from Vault.
	// Reported by the relay. True is good.
	ConditionKeysReady = "KeysReady"
	// ConditionCarrierConnected says whether the relay is logged in at the carrier.
	// Reported by the relay. True is good.
	ConditionCarrierConnected = "CarrierConnected"
	// ConditionWebhookVerified says whether the business's webhook answered the
	// handshake and accepts deliveries. Reported by the relay. True is good.
	ConditionWebhookVerified = "WebhookVerified"
	// ConditionVolumeHasRoom says whether the relay's volume has room for new messages.
	// Reported by the relay. True is good.
	ConditionVolumeHasRoom = "VolumeHasRoom"
	// ConditionSendingUnlimited says whether the business may write to whom it likes. While it is False, it gets error
	// 131048 for some people who never wrote to it. Reported by the relay; Ready does not need it. True is good.
	ConditionSendingUnlimited = "SendingUnlimited"
	// ConditionLogVerifiable says whether the relay's log is signed, and cosigned if it has a witness.
	// Reported by the relay. Ready does not need it. True is good.
	ConditionLogVerifiable = "LogVerifiable"
	// ConditionRetentionHealthy says whether the janitor erases old keys on time:
	// False after two missed runs or a failed one. True is good.
	ConditionRetentionHealthy = "RetentionHealthy"
	// ConditionKeeperHealthy, of a DataRegion, says whether its keeper of last resort
	// checks every wrapping key on time: False after two missed runs or a failed one,
	// Unknown before the first. True is good.
	ConditionKeeperHealthy = "KeeperHealthy"
	// ConditionLeftoversHealthy, of a DataRegion, says whether the janitors that
	// outlived their relays erase old keys on time. True is good.
	ConditionLeftoversHealthy = "LeftoversHealthy"
	// ConditionVaultReady, of a DataRegion, says whether its Vault works, by what most of its relays
	// say that tell, or its keeper; the operator itself does not reach it. Unknown if nobody tells.
	// True is good.
	ConditionVaultReady = "VaultReady"
	// ConditionCarrierReady, of a DataRegion, says whether its carrier works, by what most of its
	// relays say that tell. Unknown if none does. True is good.
	ConditionCarrierReady = "CarrierReady"
	// ConditionEndToEndTLS says whether TLS ends in the relay, not before it. True is
	// good.
	ConditionEndToEndTLS = "EndToEndTLS"
	// ConditionSharedHost says whether the region's shared host leads to the relay. It is absent
	// without endpoint.shared. Ready does not need it. True is good.
	ConditionSharedHost = "SharedHost"
	// ConditionTransfersAllowed says whether the DataRegion lets the relay deliver to all receivers of the spec, by the
	// countries that they declare. It is absent where none declares one and the DataRegion does not ask. Ready does not
	// need it. True is good.
	ConditionTransfersAllowed = "TransfersAllowed"
)

// Reasons of Ready, Reconciling and Stalled that belong to no other condition.
const (
	// ReasonReady: all conditions that Ready sums up are good.
	ReasonReady = "Ready"
	// ReasonProgressing: the operator or the relay is still at work.
	ReasonProgressing = "Progressing"
	// ReasonRetrying: a call to the API server failed; the operator retries.
	ReasonRetrying = "Retrying"
	// ReasonSuspended: spec.suspend stopped the relay, which has no pod. Ready is True: this
	// was asked for. The janitor keeps running.
	ReasonSuspended = "Suspended"
	// ReasonMoving: the relay is on its way to another region, and is stopped.
	ReasonMoving = "Moving"
	// ReasonNumberInUse: another BusinessRelay has this telephone number.
	ReasonNumberInUse = "NumberInUse"
	// ReasonNameTaken: an object with a child's name exists, and the operator did not make it.
	ReasonNameTaken = "NameTaken"
	// ReasonInvalidPublicKey: the spec's public key is not an RSA key of a size that relays use.
	ReasonInvalidPublicKey = "InvalidPublicKey"
	// ReasonPostgresMissing: the spec asks for a store in PostgreSQL, and the region has none.
	ReasonPostgresMissing = "PostgresMissing"
	// ReasonRefused: the API server, an admission policy or a quota refuses a child.
	ReasonRefused = "Refused"
	// ReasonContested: somebody keeps changing a child, which the operator brings back.
	ReasonContested = "Contested"
	// ReasonUpdateWaiting: the relay is to be updated when it is its turn (Reconciling).
	ReasonUpdateWaiting = "UpdateWaiting"
	// ReasonUpdatePaused: the relay is to be updated, and another of its region was and does not come up (Reconciling).
	ReasonUpdatePaused = "UpdatePaused"
	// ReasonVolumeNotExpandable: the storage class does not let the claim grow, or the storage cannot.
	ReasonVolumeNotExpandable = "VolumeNotExpandable"
	// ReasonVolumeResizing: the volume grows to storage.size; the relay works meanwhile (Reconciling).
	ReasonVolumeResizing = "VolumeResizing"
	// ReasonGatewayAPIMissing: the region names a gateway, but the cluster does not
	// serve the Gateway API's route kind.
	ReasonGatewayAPIMissing = "GatewayAPIMissing"
	// ReasonRelayStarting: the relay's pod is not ready yet.
	ReasonRelayStarting = "RelayStarting"
	// ReasonInUse: a DataRegion is being deleted, but relays still use it.
	ReasonInUse = "InUse"
)

// Reasons of the events that tell what others did to a relay's or a region's objects.
const (
	// ReasonChildChanged: somebody changed or deleted an object of the operator's, which is as it should be again.
	ReasonChildChanged = "ChildChanged"
	// ReasonNetworkPolicyChanged: the same, of a network policy: what it held off may have been reached meanwhile.
	ReasonNetworkPolicyChanged = "NetworkPolicyChanged"
)

// Reasons of Placed, and of a DataRegion's Ready.
const (
	// ReasonPlaced: the region has a matching node and its storage class.
	ReasonPlaced = "Placed"
	// ReasonRegionNotFound: there is no DataRegion of that name.
	ReasonRegionNotFound = "RegionNotFound"
	// ReasonRegionNotReady: the DataRegion exists but takes no relays now.
	ReasonRegionNotReady = "RegionNotReady"
	// ReasonNoMatchingNode: no node has the region's label and placement labels.
	ReasonNoMatchingNode = "NoMatchingNode"
	// ReasonNodeElsewhere: a pod of the relay runs on a node that does not have the region's label.
	ReasonNodeElsewhere = "NodeElsewhere"
	// ReasonStorageClassMissing: the region's storage class does not exist.
	ReasonStorageClassMissing = "StorageClassMissing"
	// ReasonVolumeElsewhere: the relay's claim belongs to another region or another
	// storage class than the region has now.
	ReasonVolumeElsewhere = "VolumeElsewhere"
)

// Reasons of KeysReady, CarrierConnected, WebhookVerified and VolumeHasRoom that the operator
// itself sets. The relay sets all others.
const (
	// ReasonRelayUnreachable: the relay's /status did not answer three times in a row.
	ReasonRelayUnreachable = "RelayUnreachable"
	// ReasonNotReported: the relay has not reported this condition yet.
	ReasonNotReported = "NotReported"
	// ReasonNotConfigured: the spec does not ask for it.
	ReasonNotConfigured = "NotConfigured"
)

// Reasons of VaultReady and CarrierReady. Those of trouble are what relays say in KeysReady and CarrierConnected; a
// DataRegion's Ready has them, too.
const (
	// ReasonReached: relays or the keeper use it.
	ReasonReached = "Reached"
	// ReasonNobodyTells: no relay of the region runs that could tell, and the keeper did not yet.
	ReasonNobodyTells = "NobodyTells"
	// ReasonVaultSealed: Vault is sealed.
	ReasonVaultSealed = "VaultSealed"
	// ReasonVaultUnavailable: Vault does not answer.
	ReasonVaultUnavailable = "VaultUnavailable"
	// ReasonVaultDenied: Vault refuses what a relay's or keeper's role allows.
	ReasonVaultDenied = "VaultDenied"
	// ReasonCarrierUnreachable: the carrier does not answer.
	ReasonCarrierUnreachable = "CarrierUnreachable"
	// ReasonLinkLost: the link to the carrier broke.
	ReasonLinkLost = "LinkLost"
	// ReasonServerClosed: the carrier ended the link.
	ReasonServerClosed = "ServerClosed"
	// ReasonTLSFailed: the carrier's certificate does not prove that it is the carrier.
	ReasonTLSFailed = "TLSFailed"
	// ReasonNoStreamManagement: the carrier lacks XEP-0198.
	ReasonNoStreamManagement = "NoStreamManagement"
)

// Reasons of RetentionHealthy.
const (
	// ReasonOnTime: the janitor's last run succeeded and is recent.
	ReasonOnTime = "OnTime"
	// ReasonNoReceipts: old keys are erased on time, and the last run could leave no receipt of it.
	ReasonNoReceipts = "NoReceipts"
	// ReasonNoLeftovers: no deleted relay left anything behind.
	ReasonNoLeftovers = "NoLeftovers"
	// ReasonAwaitingFirstRun: the janitor has not run yet; it runs within the hour.
	ReasonAwaitingFirstRun = "AwaitingFirstRun"
	// ReasonOverdue: two runs in a row were missed.
	ReasonOverdue = "Overdue"
	// ReasonRunFailed: the janitor's last run failed for a reason it did not name.
	ReasonRunFailed = "RunFailed"
)

// Reasons of EndToEndTLS.
const (
	// ReasonEndsInRelay: TLS ends in the relay.
	ReasonEndsInRelay = "EndsInRelay"
	// ReasonEndsAtGateway: spec.endpoint.terminateAtGateway lets the gateway read.
	ReasonEndsAtGateway = "EndsAtGateway"
)

// Reasons of TransfersAllowed.
const (
	// ReasonInRegion: all receivers declare countries of the DataRegion, or none.
	ReasonInRegion = "InRegion"
	// ReasonLeavesRegion: a receiver declares another country, which the DataRegion allows.
	ReasonLeavesRegion = "LeavesRegion"
	// ReasonTransferForbidden: the DataRegion forbids a receiver for its country, so nothing is sent there.
	ReasonTransferForbidden = "TransferForbidden"
)

// Reasons of SharedHost, beside those of EndToEndTLS.
const (
	// ReasonRouted: the gateway accepts the relay's route at the shared host.
	ReasonRouted = "Routed"
	// ReasonAwaitingGateway: the route is there, and the gateway has not said what it makes of it.
	ReasonAwaitingGateway = "AwaitingGateway"
	// ReasonRouteRefused: the gateway does not accept the route, or lacks something that it uses.
	ReasonRouteRefused = "RouteRefused"
	// ReasonNoSharedHost: spec.endpoint.shared is set, and the region has no shared host.
	ReasonNoSharedHost = "NoSharedHost"
	// ReasonAwaitingNumberID: the relay has not said yet which id its number has in paths.
	ReasonAwaitingNumberID = "AwaitingNumberID"
	// ReasonIDTaken: another relay says that it has an id of this one, so its requests would be ambiguous.
	ReasonIDTaken = "IDTaken"
)

// Reasons of Ready while a BusinessRelay is being deleted.
const (
	// ReasonErasing: the relay is being stopped and its keys erased.
	ReasonErasing = "Erasing"
	// ReasonEraseFailed: the erase Job failed; the operator retries it.
	ReasonEraseFailed = "EraseFailed"
	// ReasonNamespaceTerminating: the namespace accepts no new objects, so no erase Job
	// can run in it.
	ReasonNamespaceTerminating = "NamespaceTerminating"
)
