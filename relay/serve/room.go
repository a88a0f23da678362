package serve

import (
	"syscall"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Files leave a part of the volume to messages, and no more than maxKept: a volume may be a
// directory on a disk of terabytes that it shares with others.
const (
	keptShare = 8
	maxKept   = 1 << 30 // bytes
)

// Reasons of the condition VolumeHasRoom.
const (
	ReasonHasRoom    = "HasRoom"
	ReasonVolumeFull = "VolumeFull"
	// ReasonDatabaseFull is that of a store in a database.
	ReasonDatabaseFull = "DatabaseFull"
)

// volumeCondition is the condition VolumeHasRoom.
func volumeCondition(full, onServer bool) contract.Condition {
	if full && onServer {
		return contract.Condition{
			Type: contract.ConditionVolumeHasRoom, Status: contract.False, Reason: ReasonDatabaseFull,
			Message: "the database server had no room for what was written last: new messages are refused, or wait at the carrier; give the server more room, or erase customers or files",
		}
	}
	if full {
		return contract.Condition{
			Type: contract.ConditionVolumeHasRoom, Status: contract.False, Reason: ReasonVolumeFull,
			Message: "the volume is full except for the reserve for sweeping and erasing: new messages are refused, or wait at the carrier; enlarge the claim, or erase customers or files",
		}
	}
	return contract.Condition{
		Type: contract.ConditionVolumeHasRoom, Status: contract.True, Reason: ReasonHasRoom, Message: "there is room for new messages",
	}
}

// roomForFiles says whether there is room for files.
func (p *parts) roomForFiles() bool {
	if p.onServer() { // which alone knows how much room it has
		return !p.keys.store.Full()
	}
	return hasRoom(p.DataDir, p.keys.store.Freed())
}

// hasRoom says whether the volume has room for files, in addition to what was freed in the
// database. It says yes if the volume cannot be measured: what does not fit is refused when it
// is written.
func hasRoom(dir string, freed int64) bool {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return true
	}
	return leavesRoom(int64(s.Bavail)*s.Bsize+freed, int64(s.Blocks)*s.Bsize)
}

// leavesRoom says whether files may take from so many free bytes of a volume.
func leavesRoom(free, volume int64) bool { return free > min(volume/keptShare, maxKept) }
