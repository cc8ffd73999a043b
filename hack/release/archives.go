package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// entry is a file of an archive. All of them are root's, and have the date of the commit.
type entry struct {
	name, path string
	mode       int64
}

// archiveAll packs the binary of each platform with what its license asks for.
func (r *release) archiveAll() error {
	for _, on := range r.platforms {
		pack := writeTarGzip
		if on.os == "windows" {
			pack = writeZip
		}
		entries := []entry{
			{"LICENSE", filepath.Join(r.root, "LICENSE"), 0o644},
			{binaryName(on), r.binary(on), 0o755},
		}
		if err := r.write(r.archive(on), func(w io.Writer) error { return pack(w, r, entries) }); err != nil {
			return err
		}
	}
	return nil
}

// archive is the name of that of a platform.
func (r *release) archive(on platform) string {
	ending := ".tar.gz"
	if on.os == "windows" {
		ending = ".zip"
	}
	return r.named(on.os+"_"+on.arch) + ending
}

// named is the name of a file of this version.
func (r *release) named(what string) string { return program + "_" + r.version + "_" + what }

func writeTarGzip(w io.Writer, r *release, entries []entry) error {
	compressed := gzip.NewWriter(w)
	return errors.Join(writeTar(compressed, r, entries), compressed.Close())
}

func writeTar(w io.Writer, r *release, entries []entry) error {
	archive := tar.NewWriter(w)
	for _, entry := range entries {
		info, err := os.Stat(entry.path)
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: entry.name, Mode: entry.mode, Size: info.Size(), ModTime: r.date(), Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if err := copyFile(archive, entry.path); err != nil {
			return err
		}
	}
	return archive.Close()
}

func writeZip(w io.Writer, r *release, entries []entry) error {
	archive := zip.NewWriter(w)
	for _, entry := range entries {
		header := &zip.FileHeader{Name: entry.name, Method: zip.Deflate, Modified: r.date()}
		header.SetMode(os.FileMode(entry.mode))
		file, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if err := copyFile(file, entry.path); err != nil {
			return err
		}
	}
	return archive.Close()
}

func copyFile(w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return errors.Join(err, file.Close())
}

// write makes a file of the release.
func (r *release) write(name string, content func(io.Writer) error) error {
	path := filepath.Join(r.into, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { // #nosec G301 -- to be published
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	r.files = append(r.files, name)
	return errors.Join(content(file), file.Close())
}

func (r *release) writeText(name, text string) error {
	return r.write(name, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
}

// writeChecksums writes what `sha256sum --check` reads, of every file at the top: those that are published.
func (r *release) writeChecksums() error {
	slices.Sort(r.files)
	var text strings.Builder
	for _, name := range r.files {
		if strings.Contains(name, "/") || name == notesFile {
			continue
		}
		sum, err := r.sum(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	return r.writeText("SHA256SUMS", text.String())
}

// sum is the SHA-256 of a file of the release.
func (r *release) sum(name string) (string, error) {
	hash := sha256.New()
	err := copyFile(hash, filepath.Join(r.into, name))
	return hex.EncodeToString(hash.Sum(nil)), err
}

// opener opens one file, whatever its name is said to be.
func opener(path string) func(string) (io.ReadCloser, error) {
	return func(string) (io.ReadCloser, error) { return os.Open(path) }
}
