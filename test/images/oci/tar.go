package oci

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// packTar packs files and the directories above them, sorted, owned by root.
func packTar(files []File, modified time.Time) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	made := map[string]bool{}
	for _, f := range sorted {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return nil, fmt.Errorf("%q is no absolute, clean path of a file", f.Path)
		}
		if made[f.Path] {
			return nil, fmt.Errorf("%q is there twice", f.Path)
		}
		if err := writeParents(t, f.Path, made, modified); err != nil {
			return nil, err
		}
		made[f.Path] = true
		f.Path = strings.TrimPrefix(f.Path, "/")
		if err := writeFile(t, f, modified); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeParents(t *tar.Writer, name string, made map[string]bool, modified time.Time) error {
	dir := path.Dir(name)
	if dir == "/" || made[dir] {
		return nil
	}
	if err := writeParents(t, dir, made, modified); err != nil {
		return err
	}
	made[dir] = true
	return t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755,
		ModTime: modified.UTC(), Format: tar.FormatUSTAR,
	})
}

func writeFile(t *tar.Writer, f File, modified time.Time) error {
	err := t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: f.Path, Mode: f.Mode, Size: int64(len(f.Data)),
		ModTime: modified.UTC(), Format: tar.FormatUSTAR,
	})
	if err != nil {
		return err
	}
	_, err = t.Write(f.Data)
	return err
}
