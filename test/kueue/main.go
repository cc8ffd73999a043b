// Command kueue makes an image of Kueue's controller, which it builds from Kueue's module, as an archive that a node loads. The tests of
// `make e2e` deploy it with the manifests of the same module.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// controller is Kueue's program. Its version is that of go.mod.
const controller = "sigs.k8s.io/kueue/cmd/kueue"

// program is where Kueue's manifests expect it in the image.
const program = "manager"

func main() {
	tag := flag.String("image", "", "name of the image")
	into := flag.String("into", "", "file of the archive")
	flag.Parse()
	if err := write(*tag, *into); err != nil {
		fmt.Fprintln(os.Stderr, "kueue:", err)
		os.Exit(1)
	}
}

func write(tag, into string) error {
	if tag == "" || into == "" {
		return errors.New("-image and -into have no default")
	}
	directory, err := os.MkdirTemp("", "ledgerport-kueue-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }() // a leftover in the temporary directory is no failure
	binary := filepath.Join(directory, program)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, controller) // #nosec G204 -- our own arguments
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building %s: %w", controller, err)
	}
	content, err := os.ReadFile(binary) // #nosec G304 -- just built
	if err != nil {
		return err
	}
	image, err := imageOf(content)
	if err != nil {
		return err
	}
	reference, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(into, reference, image)
}

// imageOf has the program and nothing else, for a user without a name.
func imageOf(content []byte) (v1.Image, error) {
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	if err := archive.WriteHeader(&tar.Header{Name: program, Mode: 0o755, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := archive.Write(content); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	described, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	described = described.DeepCopy()
	described.OS, described.Architecture = "linux", runtime.GOARCH
	described.Config = v1.Config{User: "65532:65532", Entrypoint: []string{"/" + program}}
	return mutate.ConfigFile(image, described)
}
