package command

import (
	"errors"
	"strings"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// reasonUnseen is ours, for an object without conditions.
const reasonUnseen = "NotSeen"

// errNoRemedy is only for the test that every reason of the operator has a remedy.
var errNoRemedy = errors.New("no remedy of its own")

// remedy is the command that shows or mends what a reason stands for.
func (s subject) remedy(reason string) string {
	text, err := remedyFor(reason)
	if err != nil {
		text = "kubectl describe KIND NAME -n NAMESPACE"
	}
	switch {
	case s.kind != "DataRegion":
	case reason == v1alpha1.ReasonStorageClassMissing: // it has no claim
		text = "kubectl get storageclass; kubectl edit dataregion REGION"
	case reason == v1alpha1.ReasonOverdue, reason == v1alpha1.ReasonRunFailed: // its keeper's
		text = "kubectl get cronjobs,jobs,pods -A -l " + v1alpha1.LabelComponent + "=" + v1alpha1.ComponentKeeper + "," + v1alpha1.LabelRegion + "=REGION"
	}
	if s.namespace == "" {
		text = strings.ReplaceAll(text, " -n NAMESPACE", "")
	}
	return strings.NewReplacer("KIND", strings.ToLower(s.kind), "NAMESPACE", s.namespace, "NAME", s.name, "REGION", s.region).Replace(text)
}

// remedyFor has the names of what is looked at in capital letters.
func remedyFor(reason string) (string, error) {
	switch reason {
	case reasonUnseen, v1alpha1.ReasonRetrying, v1alpha1.ReasonNotReported:
		return "kubectl logs -n relaykeep-system -l app.kubernetes.io/component=manager --tail 50", nil
	case v1alpha1.ReasonProgressing, v1alpha1.ReasonRelayStarting:
		return "kubectl describe pod -l app.kubernetes.io/instance=NAME,app.kubernetes.io/component=relay -n NAMESPACE", nil
	case v1alpha1.ReasonRelayUnreachable:
		return "kubectl logs NAME-relay-0 -n NAMESPACE --tail 50", nil
	case v1alpha1.ReasonUpdateWaiting, v1alpha1.ReasonUpdatePaused, v1alpha1.ReasonNumberInUse:
		return "kubectl relay status -A", nil
	case v1alpha1.ReasonMoving:
		return "kubectl get brelay NAME -n NAMESPACE -o jsonpath={.spec.moving}  # go on: kubectl relay move NAME -n NAMESPACE --to-region …", nil
	case v1alpha1.ReasonNameTaken, v1alpha1.ReasonContested:
		return "kubectl get all,cm,sa,pvc,netpol -n NAMESPACE --show-managed-fields -o yaml", nil
	case v1alpha1.ReasonInvalidPublicKey:
		return "kubectl edit brelay NAME -n NAMESPACE", nil
	case v1alpha1.ReasonPostgresMissing:
		return "kubectl edit dataregion REGION", nil
	case v1alpha1.ReasonTransferForbidden, v1alpha1.ReasonInRegion, v1alpha1.ReasonLeavesRegion:
		return "kubectl relay processors NAME -n NAMESPACE; kubectl edit brelay NAME -n NAMESPACE", nil
	case v1alpha1.ReasonRefused:
		return "kubectl describe quota,limits -n NAMESPACE; kubectl get validatingadmissionpolicies", nil
	case v1alpha1.ReasonVolumeResizing:
		return "kubectl describe pvc NAME-relay -n NAMESPACE", nil
	case v1alpha1.ReasonNodeElsewhere:
		return "kubectl get pods -n NAMESPACE -o wide; kubectl get nodes -L " + v1alpha1.LabelNodeRegion, nil
	case v1alpha1.ReasonVolumeNotExpandable, v1alpha1.ReasonStorageClassMissing, v1alpha1.ReasonVolumeElsewhere:
		return "kubectl get storageclass; kubectl get pvc NAME-relay -n NAMESPACE", nil
	case v1alpha1.ReasonAwaitingGateway, v1alpha1.ReasonRouteRefused:
		return "kubectl describe httproute NAME-shared -n NAMESPACE", nil
	case v1alpha1.ReasonNoSharedHost:
		return "kubectl edit dataregion REGION", nil
	case v1alpha1.ReasonIDTaken:
		return "kubectl get brelay -A -o custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,NUMBER:.status.endpoint.phoneNumberID,ACCOUNT:.status.endpoint.businessAccountID", nil
	case v1alpha1.ReasonGatewayAPIMissing:
		return "kubectl api-resources --api-group gateway.networking.k8s.io", nil
	case v1alpha1.ReasonRegionNotFound, v1alpha1.ReasonRegionNotReady:
		return "kubectl get dataregions; kubectl describe dataregion REGION", nil
	case v1alpha1.ReasonNoMatchingNode:
		return "kubectl get nodes -l " + v1alpha1.LabelNodeRegion + "=REGION", nil
	case v1alpha1.ReasonInUse:
		return "kubectl relay orphans --region REGION", nil
	case v1alpha1.ReasonOverdue, v1alpha1.ReasonRunFailed:
		return "kubectl get cronjobs,jobs -n NAMESPACE; kubectl logs -l app.kubernetes.io/instance=NAME,app.kubernetes.io/component=janitor -n NAMESPACE", nil
	case v1alpha1.ReasonNoReceipts:
		return "kubectl relay setup vault --region REGION", nil
	case v1alpha1.ReasonErasing, v1alpha1.ReasonEraseFailed, v1alpha1.ReasonNamespaceTerminating:
		return "kubectl logs job/NAME-erase -n NAMESPACE; kubectl relay erase NAME -n NAMESPACE", nil
	}
	if text := reportedRemedy(reason); text != "" {
		return text, nil
	}
	return "", errNoRemedy
}

// reportedRemedy is about reasons that relays report; empty for others.
func reportedRemedy(reason string) string {
	switch reason {
	case v1alpha1.ReasonVaultSealed, v1alpha1.ReasonVaultUnavailable:
		return "kubectl get dataregion REGION -o jsonpath={.spec.vault.address}  # unseal or start that Vault"
	case v1alpha1.ReasonVaultDenied, "VaultContentUnexpected", "KeysErased", "IdentityMissing", "CredentialsMissing":
		return "kubectl relay setup vault --region REGION"
	case "KeyOverdue":
		return "kubectl create job --from=cronjob/NAME-retention NAME-retention-now -n NAMESPACE"
	case "OwnerChanged":
		return "kubectl relay adopt NAME -n NAMESPACE"
	case "AccountMissing", "RegistrationRefused", "AccountTaken", "CredentialsRefused":
		return "kubectl relay setup carrier-account NAME -n NAMESPACE"
	case v1alpha1.ReasonCarrierUnreachable, v1alpha1.ReasonTLSFailed, v1alpha1.ReasonLinkLost, v1alpha1.ReasonServerClosed, v1alpha1.ReasonNoStreamManagement:
		return "kubectl get dataregion REGION -o jsonpath={.spec.carrier.xmpp}"
	case "Unreachable", "CertificateUntrusted", "ChallengeFailed", "DeliveryFailing", "EncryptionFailing":
		return "kubectl get brelay NAME -n NAMESPACE -o jsonpath={.spec.webhook}; kubectl get dataregion REGION -o jsonpath={.spec.network}"
	case "FormerCredentials":
		return "kubectl relay credentials NAME -n NAMESPACE"
	case "DeadLetters":
		return "kubectl relay dead-letters NAME -n NAMESPACE"
	case "VolumeFull":
		return "kubectl edit brelay NAME -n NAMESPACE  # raise spec.storage.size"
	case "NotSigned":
		return "kubectl relay setup vault --region REGION"
	case "WitnessAway":
		return "kubectl get brelay NAME -n NAMESPACE -o jsonpath={.spec.log.witness}; kubectl get dataregion REGION -o jsonpath={.spec.network}"
	case "WitnessRefuses":
		return "kubectl relay log key NAME -n NAMESPACE  # and where the witness runs: relay witness add KEY --dir DIR"
	case "LogRolledBack", "LogForked":
		return "kubectl relay log export NAME -n NAMESPACE > now.jsonl; kubectl relay audit verify FORMER now.jsonl --key FILE"
	case "NotWritten", "StoreMissing", "StoreForeign", "StoreLocked", "StoreUnusable", "DatabaseLoginMissing", "DatabaseUnreachable", "DatabaseDenied":
		return "kubectl logs NAME-relay-0 -n NAMESPACE --tail 50"
	}
	return ""
}

// ofRegion says whether a relay's reason can be about its region's Vault or carrier as a whole.
func ofRegion(reason string) bool {
	switch reason {
	case v1alpha1.ReasonVaultSealed, v1alpha1.ReasonVaultUnavailable, v1alpha1.ReasonVaultDenied,
		v1alpha1.ReasonCarrierUnreachable, v1alpha1.ReasonLinkLost, v1alpha1.ReasonServerClosed, v1alpha1.ReasonTLSFailed, v1alpha1.ReasonNoStreamManagement:
		return true
	}
	return false
}
