package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// maxChart is how much a chart's file may hold when it is packed again, in bytes.
const maxChart = 4 << 20

// file is one file of an archive.
type file struct {
	name string
	mode int64
	data []byte
}

// modified is the time of every file in an archive, so that its bytes do not depend on
// when it was made: the first that a zip can hold.
func modified() time.Time { return time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC) }

// pack returns an archive in the format that the name's ending says.
func pack(name string, files []file) ([]byte, error) {
	var out bytes.Buffer
	write := writeTarGz
	if strings.HasSuffix(name, ".zip") {
		write = writeZip
	}
	if err := write(&out, files); err != nil {
		return nil, fmt.Errorf("packing %s: %w", name, err)
	}
	return out.Bytes(), nil
}

func writeTarGz(w io.Writer, files []file) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		err := t.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: modified(), Format: tar.FormatUSTAR,
		})
		if err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func writeZip(w io.Writer, files []file) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: modified()}
		h.SetMode(fs.FileMode(f.mode))
		entry, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.data); err != nil {
			return err
		}
	}
	return z.Close()
}

// readTarGz returns an archive's files in their order.
func readTarGz(r io.Reader) ([]file, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	t := tar.NewReader(z)
	var files []file
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(t, maxChart+1))
		if err != nil {
			return nil, err
		}
		if len(data) > maxChart {
			return nil, fmt.Errorf("%s is larger than %d bytes", h.Name, maxChart)
		}
		files = append(files, file{name: h.Name, mode: h.Mode, data: data})
	}
}
