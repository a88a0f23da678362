package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Unmount takes away everything that is mounted below one of the directories, the last mounted first.
func Unmount(below ...string) error {
	points, err := mountsWhere(func(point string) bool {
		return slices.ContainsFunc(below, func(dir string) bool { return strings.HasPrefix(point, dir+"/") })
	})
	if err != nil {
		return err
	}
	var failures []error
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			failures = append(failures, fmt.Errorf("unmounting %s: %w", point, err))
		}
	}
	return errors.Join(failures...)
}

// mounted tells whether something is mounted at path.
func mounted(path string) (bool, error) {
	points, err := mountsWhere(func(point string) bool { return point == path })
	return len(points) > 0, err
}

// mountsWhere returns the mount points that are wanted, in the order of mounting.
func mountsWhere(wanted func(point string) bool) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mountPoints(f, wanted)
}

// mountPoints takes the wanted mount points out of the content of /proc/self/mountinfo.
func mountPoints(r io.Reader, wanted func(point string) bool) ([]string, error) {
	var points []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescape(fields[4]); wanted(point) {
			points = append(points, point)
		}
	}
	return points, lines.Err()
}

// unescape undoes what the kernel does to spaces, tabs, newlines and backslashes in mount points (proc_pid_mountinfo(5)).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// Snapshotter is containerd's snapshotter for a directory: overlays cannot lie on an overlay, as in most containers.
func Snapshotter(dir string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "", fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	if s.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native", nil
	}
	return "overlayfs", nil
}
