package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user has no name and no rights: docs/decisions/0040-a-release-is-made-without-a-network.md has why the image has no /etc.
const user = "65532:65532"

// imageAlone builds the image for Linux on whatever this is, as an archive that docker, podman, ctr and kind load, and writes it to a
// registry if that is asked for.
func (r *release) imageAlone(push bool) error {
	file := r.into
	r.into = filepath.Dir(file)
	if err := r.workIn(); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(r.work) }() // as in all
	if err := r.buildAll(); err != nil {
		return err
	}
	index, err := r.index()
	if err != nil {
		return err
	}
	if err := r.writeImage(filepath.Base(file), index); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%s: %s\n", file, r.tag)
	if !push {
		return nil
	}
	return r.push(index)
}

func (r *release) push(index v1.ImageIndex) error {
	reference, err := name.ParseReference(r.tag)
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(reference, index, remote.WithContext(r.ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err == nil {
		fmt.Fprintf(r.out, "%s@%s\n", reference.Context(), digest)
	}
	return err
}

// imageFile is the name of the archive of a release.
func (r *release) imageFile() string { return r.named("image.tar") }

// image writes the archive of a release, and tells its digest to what is made after it.
func (r *release) image() error {
	index, err := r.index()
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	r.tag = r.repository + ":" + r.version
	if err := r.writeImage(r.imageFile(), index); err != nil {
		return err
	}
	return r.writeText("image-digest.txt", r.repository+"@"+digest.String()+"\n")
}

// index has the image of every platform of Linux that was built.
func (r *release) index() (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, on := range r.platforms {
		if on.os != "linux" {
			continue
		}
		image, err := r.imageOf(on)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", on, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: on.os, Architecture: on.arch}}})
	}
	return mutate.Annotations(index, r.labels()).(v1.ImageIndex), nil
}

// imageOf has the binary and nothing else: roots of certificates and time zones are in it.
func (r *release) imageOf(on platform) (v1.Image, error) {
	packed := filepath.Join(r.work, "layer_"+on.arch+".tar")
	file, err := os.Create(packed)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writeTar(file, r, []entry{{program, r.binary(on), 0o755}}), file.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromFile(packed, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: r.date()}, CreatedBy: "make release"}})
	if err != nil {
		return nil, err
	}
	image, err = mutate.ConfigFile(image, r.config(image, on))
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, r.labels()).(v1.Image), nil
}

func (r *release) config(image v1.Image, on platform) *v1.ConfigFile {
	config, err := image.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{} // the image is one of memory
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = on.os, on.arch, v1.Time{Time: r.date()}
	config.Config = v1.Config{User: user, Entrypoint: []string{"/" + program}, Cmd: []string{"manager"}, Labels: r.labels()}
	return config
}

// labels are those that OCI has names for.
func (r *release) labels() map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":         program,
		prefix + "description":   "Approved expense claims into accounting systems, each exactly once",
		prefix + "version":       r.version,
		prefix + "revision":      r.revision(),
		prefix + "created":       r.date().Format(time.RFC3339),
		prefix + "source":        homepage,
		prefix + "url":           homepage,
		prefix + "documentation": homepage + "/tree/" + r.version + "/docs",
		prefix + "licenses":      "Apache-2.0",
		prefix + "vendor":        "The Ledgerport authors",
	}
}

// writeImage writes an OCI layout as one file. With one platform alone it is what `docker save` writes, too, for older versions of Docker.
func (r *release) writeImage(file string, index v1.ImageIndex) error {
	directory := filepath.Join(r.work, "layout")
	path, err := layout.Write(directory, empty.Index)
	if err != nil {
		return err
	}
	named := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          canonical(r.tag),
		"org.opencontainers.image.ref.name": r.tag[strings.LastIndex(r.tag, ":")+1:],
	})
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) == 0 {
		return errors.New("an image needs a platform of Linux")
	}
	if len(manifest.Manifests) > 1 {
		err = path.AppendIndex(index, named)
	} else {
		err = r.appendOne(path, index, manifest.Manifests[0].Digest, named)
	}
	if err != nil {
		return err
	}
	entries, err := filesBelow(directory)
	if err != nil {
		return err
	}
	return r.write(file, func(w io.Writer) error { return writeTar(w, r, entries) })
}

func (r *release) appendOne(path layout.Path, index v1.ImageIndex, digest v1.Hash, named layout.Option) error {
	image, err := index.Image(digest)
	if err != nil {
		return err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	blob := func(hash v1.Hash) string { return "blobs/" + hash.Algorithm + "/" + hash.Hex }
	saved := []tarball.Descriptor{{Config: blob(manifest.Config.Digest), RepoTags: []string{r.tag}}}
	for _, layer := range manifest.Layers {
		saved[0].Layers = append(saved[0].Layers, blob(layer.Digest))
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	return errors.Join(path.AppendImage(image, named), path.WriteFile("manifest.json", text, 0o644))
}

// canonical is a name as containerd keeps it, with the registry that Docker leaves out.
func canonical(tag string) string {
	reference, err := name.ParseReference(tag)
	if err != nil {
		return tag
	}
	return strings.Replace(reference.Name(), "index.docker.io/", "docker.io/", 1)
}

func filesBelow(directory string) (entries []entry, err error) {
	err = filepath.WalkDir(directory, func(path string, found fs.DirEntry, err error) error {
		if err != nil || found.IsDir() {
			return err
		}
		relative, err := filepath.Rel(directory, path)
		entries = append(entries, entry{filepath.ToSlash(relative), path, 0o644})
		return err
	})
	return entries, err
}
