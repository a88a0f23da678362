package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const mountInfo = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:28 / /state/nodes/na-1/kubelet/pods/a rw - tmpfs tmpfs rw
31 22 0:29 / /state-of-others/x rw - tmpfs tmpfs rw
32 30 0:30 / /state/nodes/with\040space\134n rw - tmpfs tmpfs rw
broken
`

func TestMountPointsAreFoundInTheOrderOfMounting(t *testing.T) {
	got, err := mountPoints(strings.NewReader(mountInfo), func(point string) bool { return strings.HasPrefix(point, "/state/") })
	want := []string{"/state/nodes/na-1/kubelet/pods/a", `/state/nodes/with space\n`}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestUnmountTakesAwayWhatIsBelowAndNothingElse(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	inner, deeper, outer := filepath.Join(dir, "state/a b"), filepath.Join(dir, "state/a b/c"), filepath.Join(dir, "state2")
	for _, point := range []string{inner, deeper, outer} {
		if err := os.MkdirAll(point, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size=64k"); err != nil {
			t.Skipf("mounting: %v", err)
		}
		defer func() { _ = unix.Unmount(point, unix.MNT_DETACH) }()
	}
	for range 2 {
		if err := Unmount(filepath.Join(dir, "state")); err != nil {
			t.Fatal(err)
		}
	}
	for point, want := range map[string]bool{inner: false, deeper: false, outer: true} {
		if got, err := mounted(point); err != nil || got != want {
			t.Errorf("%s is mounted: %v, %v; want %v", point, got, err, want)
		}
	}
}

func FuzzMountPoints(f *testing.F) {
	f.Add(mountInfo)
	f.Add(`1 2 3 4 \04`)
	f.Fuzz(func(t *testing.T, content string) {
		points, err := mountPoints(strings.NewReader(content), func(string) bool { return true })
		if err == nil && len(points) > strings.Count(content, "\n")+1 {
			t.Errorf("%d mount points in %q", len(points), content)
		}
	})
}
