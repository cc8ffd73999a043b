package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// To build a release takes minutes, and is for `make nightly`: "here" is of this machine's platform, and "all" of all, the second time without
// anything that the first has compiled.
var (
	asked      = os.Getenv("LEDGERPORT_RELEASE")
	everything = asked == "all"
)

// long skips a test of minutes that nobody has asked for.
func long(t *testing.T) {
	t.Helper()
	if asked == "" {
		t.Skip("LEDGERPORT_RELEASE is not set: here or all")
	}
}

// here is the platform of this machine, as one of Linux: an image has no other.
var here = platform{"linux", runtime.GOARCH}

// made is a release of the commit that is checked out, which was cloned into another directory.
type made struct {
	release
	clone string
}

func makeRelease(t *testing.T, within, cache string) *made {
	t.Helper()
	m := &made{clone: filepath.Join(t.TempDir(), within)}
	command(t, ".", "git", "clone", "--quiet", "--no-hardlinks", "../..", m.clone)
	m.release = release{ctx: t.Context(), out: t.Output(), root: m.clone, version: "v1.2.3", seconds: 1795000000, cache: cache,
		into: filepath.Join(t.TempDir(), "dist"), repository: "registry.example.com/ledgerport"}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	must(t, err)
	// The commit that gets a tag gives the changes their version.
	changelog = bytes.Replace(changelog, []byte("## [Unreleased]\n"), []byte("## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n"), 1)
	must(t, os.WriteFile(filepath.Join(m.clone, "CHANGELOG.md"), changelog, 0o600))
	platforms := here.String()
	if everything {
		platforms = pluginPlatforms
	}
	must(t, m.prepare(platforms))
	m.root, err = filepath.Abs(m.root)
	must(t, err)
	must(t, m.all())
	return m
}

func (m *made) read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(m.into, file))
	must(t, err)
	return content
}

// TestTwoBuildsHaveTheSameBytes makes a release of the same commit in two directories, and looks at the first.
func TestTwoBuildsHaveTheSameBytes(t *testing.T) {
	long(t)
	first := makeRelease(t, "a", "")
	cache := ""
	if everything {
		cache = t.TempDir()
	}
	second := makeRelease(t, "another/and/longer/place", cache)
	must(t, filepath.WalkDir(first.into, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := filepath.Rel(first.into, path)
		must(t, err)
		if !bytes.Equal(first.read(t, file), second.read(t, file)) {
			t.Errorf("%s differs between two builds of one commit", file)
		}
		return nil
	}))
	for name, check := range map[string]func(*testing.T, *made){
		"binaries are static and list their modules": checkBinaries,
		"the image":           checkImage,
		"the checksums":       checkChecksums,
		"install.yaml":        checkInstall,
		"the chart":           checkChart,
		"krew installs it":    checkKrew,
		"the formula":         checkFormula,
		"the notes":           checkNotes,
		"the image is pushed": checkPush,
	} {
		t.Run(name, func(t *testing.T) { check(t, first) })
	}
}

func checkBinaries(t *testing.T, m *made) {
	for _, on := range m.platforms {
		binary := m.unpack(t, on)
		info, err := buildinfo.ReadFile(binary)
		must(t, err)
		if on.os == "linux" {
			file, err := elf.Open(binary)
			must(t, err)
			if file.Section(".interp") != nil {
				t.Errorf("the binary of %s needs libraries of the machine", on)
			}
			must(t, file.Close())
		}
		var listed struct {
			Components []struct{ Name, Version, PURL string }
			Metadata   struct{ Component struct{ Version string } }
		}
		must(t, json.Unmarshal(m.read(t, m.named(on.os+"_"+on.arch)+".cdx.json"), &listed))
		names := []string{}
		for _, component := range listed.Components {
			names = append(names, component.Name+"@"+component.Version)
		}
		if len(info.Deps) < 50 {
			t.Errorf("the binary of %s has %d modules; what was read?", on, len(info.Deps))
		}
		for _, module := range info.Deps {
			if module.Replace != nil {
				module = module.Replace
			}
			if !slices.Contains(names, module.Path+"@"+module.Version) {
				t.Errorf("%s has the module %s@%s, and its list does not", on, module.Path, module.Version)
			}
		}
		if listed.Metadata.Component.Version != "v1.2.3" {
			t.Errorf("the list of %s is one of version %q", on, listed.Metadata.Component.Version)
		}
	}
	if runtime.GOOS == here.os {
		if said := command(t, ".", m.unpack(t, here), "version"); !strings.HasPrefix(said, "ledgerport v1.2.3 (go1.") {
			t.Errorf("the binary says that it is %q", said)
		}
	}
}

// unpack returns the binary of an archive.
func (m *made) unpack(t *testing.T, on platform) string {
	t.Helper()
	directory := t.TempDir()
	archive := filepath.Join(m.into, m.archive(on))
	if strings.HasSuffix(archive, ".zip") {
		packed, err := zip.OpenReader(archive)
		must(t, err)
		must(t, os.CopyFS(directory, packed))
		must(t, packed.Close())
	} else {
		command(t, directory, "tar", "-xzf", archive)
	}
	if _, err := os.Stat(filepath.Join(directory, "LICENSE")); err != nil {
		t.Errorf("the archive of %s has no license", on)
	}
	return filepath.Join(directory, binaryName(on))
}

func checkImage(t *testing.T, m *made) {
	directory := t.TempDir()
	command(t, directory, "tar", "-xf", filepath.Join(m.into, m.imageFile()))
	index, err := layout.ImageIndexFromPath(directory)
	must(t, err)
	manifest, err := index.IndexManifest()
	must(t, err)
	named := manifest.Manifests[0].Annotations["io.containerd.image.name"]
	if named != "registry.example.com/ledgerport:v1.2.3" {
		t.Errorf("the archive names its image %q", named)
	}
	if everything {
		index, err = index.ImageIndex(manifest.Manifests[0].Digest)
		must(t, err)
		manifest, err = index.IndexManifest()
		must(t, err)
	}
	var platforms []string
	for _, of := range manifest.Manifests {
		image, err := index.Image(of.Digest)
		must(t, err)
		config, err := image.ConfigFile()
		must(t, err)
		platforms = append(platforms, config.OS+"/"+config.Architecture)
		if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(config.Config.User) {
			t.Errorf("the user is %q: the restricted profile lets nothing run as root, and knows no names", config.Config.User)
		}
		for _, label := range []string{"version", "revision", "source", "licenses", "created"} {
			if config.Config.Labels["org.opencontainers.image."+label] == "" {
				t.Errorf("the image has no label %s", label)
			}
		}
		layers, err := image.Layers()
		must(t, err)
		if len(layers) != 1 {
			t.Fatalf("the image has %d layers", len(layers))
		}
		content, err := layers[0].Uncompressed()
		must(t, err)
		if files := tarNames(t, content); !slices.Equal(files, []string{program}) {
			t.Errorf("the image has %q, and needs no more than the binary", files)
		}
	}
	want := []string{here.String()}
	if everything {
		want = []string{"linux/amd64", "linux/arm64"}
	}
	if !slices.Equal(platforms, want) {
		t.Errorf("the image is for %q, want %q", platforms, want)
	}
}

func tarNames(t *testing.T, content io.Reader) (names []string) {
	t.Helper()
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(t, err)
		names = append(names, header.Name)
	}
}

// checkPush writes the image to a registry: its digest is the one that install.yaml and the release name.
func checkPush(t *testing.T, m *made) {
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	pushing := m.release
	pushing.tag, pushing.work = strings.TrimPrefix(server.URL, "http://")+"/ledgerport:v1.2.3", t.TempDir()
	for _, on := range m.platforms {
		binary := pushing.binary(on)
		must(t, os.MkdirAll(filepath.Dir(binary), 0o750))
		must(t, os.Rename(m.unpack(t, on), binary))
	}
	index, err := pushing.index()
	must(t, err)
	must(t, pushing.push(index))
	reference, err := name.ParseReference(pushing.tag)
	must(t, err)
	found, err := remote.Get(reference)
	must(t, err)
	if want := strings.TrimSpace(string(m.read(t, "image-digest.txt"))); "registry.example.com/ledgerport@"+found.Digest.String() != want {
		t.Errorf("the registry has %s, and the release names %s", found.Digest, want)
	}
}

func checkChecksums(t *testing.T, m *made) {
	sums := string(m.read(t, "SHA256SUMS"))
	entries, err := os.ReadDir(m.into)
	must(t, err)
	for _, entry := range entries {
		if entry.IsDir() || entry.Name() == "SHA256SUMS" || entry.Name() == notesFile {
			continue
		}
		sum := sha256.Sum256(m.read(t, entry.Name()))
		if !strings.Contains(sums, hex.EncodeToString(sum[:])+"  "+entry.Name()+"\n") {
			t.Errorf("SHA256SUMS does not have %s as it is", entry.Name())
		}
	}
	command(t, m.into, "sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
}

func checkInstall(t *testing.T, m *made) {
	text := string(m.read(t, "install.yaml"))
	for kind, want := range map[string]int{"CustomResourceDefinition": 5, "Deployment": 1, "Namespace": 1, "ServiceAccount": 1} {
		if have := strings.Count(text, "\nkind: "+kind+"\n"); have != want {
			t.Errorf("install.yaml has %d of kind %s, want %d", have, kind, want)
		}
	}
	digest := strings.TrimPrefix(strings.TrimSpace(string(m.read(t, "image-digest.txt"))), "registry.example.com/ledgerport@")
	if !strings.Contains(text, " image: registry.example.com/ledgerport:v1.2.3@"+digest+"\n") {
		t.Errorf("install.yaml does not have the image with the digest %s", digest)
	}
}

func checkChart(t *testing.T, m *made) {
	chart := filepath.Join(m.into, "ledgerport-1.2.3.tgz")
	values := command(t, m.clone, "tar", "-xzOf", chart, "ledgerport/values.yaml")
	about := command(t, m.clone, "tar", "-xzOf", chart, "ledgerport/Chart.yaml")
	for text, want := range map[string]string{values: "\n  repository: registry.example.com/ledgerport\n", about: "appVersion: v1.2.3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the chart does not have %q", want)
		}
	}
}

// checkKrew lets krew judge the manifest, and install each archive as it does on each platform.
func checkKrew(t *testing.T, m *made) {
	manifest := filepath.Join(m.into, "krew/ledgerport.yaml")
	const tools = "-modfile=hack/tools/krew/go.mod"
	command(t, "../..", "go", "tool", tools, "validate-krew-manifest", "-skip-install", "-manifest="+manifest)
	krew := strings.TrimSpace(command(t, "../..", "go", "tool", "-n", tools, "krew"))
	for _, on := range m.platforms {
		root := t.TempDir()
		install := exec.CommandContext(t.Context(), krew, "install", "--manifest="+manifest, "--archive="+filepath.Join(m.into, m.archive(on)))
		install.Env = append(os.Environ(), "KREW_ROOT="+root, "KREW_OS="+on.os, "KREW_ARCH="+on.arch, "KREW_NO_UPGRADE_CHECK=1")
		if output, err := install.CombinedOutput(); err != nil {
			t.Fatalf("krew installs nothing for %s: %s\n%s", on, err, output)
		}
		if on == here && runtime.GOOS == here.os {
			help := command(t, ".", filepath.Join(root, "bin/kubectl-ledgerport"), "--help")
			if !strings.Contains(help, "kubectl ledgerport [command]") {
				t.Errorf("the plugin does not know that it is one:\n%s", help)
			}
		}
	}
}

func checkFormula(t *testing.T, m *made) {
	text := string(m.read(t, "homebrew/ledgerport.rb"))
	for _, on := range m.platforms {
		sum := sha256.Sum256(m.read(t, m.archive(on)))
		if want := hex.EncodeToString(sum[:]); on.os != "windows" && (!strings.Contains(text, want) || !strings.Contains(text, "/v1.2.3/"+m.archive(on)+`"`)) {
			t.Errorf("the formula does not have the archive of %s", on)
		}
	}
	if ruby, err := exec.LookPath("ruby"); err == nil {
		command(t, m.into, ruby, "-c", "homebrew/ledgerport.rb")
	}
}

func checkNotes(t *testing.T, m *made) {
	if notes := string(m.read(t, notesFile)); !strings.HasPrefix(notes, "### ") || strings.Contains(notes, "\n## ") {
		t.Errorf("the notes are not what the changelog has of this version alone:\n%s", notes)
	}
}

// TestTheCommandCompilesForWindows finds what only Unix has. The other platforms are Unix.
func TestTheCommandCompilesForWindows(t *testing.T) {
	long(t)
	build := exec.CommandContext(t.Context(), "go", "build", "./command")
	build.Dir, build.Env = "../..", append(os.Environ(), "GOOS=windows", "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Errorf("%s\n%s", err, output)
	}
}

// TestArchivesHaveNoTimeOfTheirOwn compares archives of files that were written at other times.
func TestArchivesHaveNoTimeOfTheirOwn(t *testing.T) {
	r := &release{seconds: 1795000000}
	for name, pack := range map[string]func(io.Writer, *release, []entry) error{"tar": writeTarGzip, "zip": writeZip} {
		t.Run(name, func(t *testing.T) {
			var packed [2]bytes.Buffer
			for i := range packed {
				path := filepath.Join(t.TempDir(), "file")
				must(t, os.WriteFile(path, []byte("content"), os.FileMode(0o600+i*0o100)))
				must(t, os.Chtimes(path, r.date().AddDate(i, 0, 0), r.date().AddDate(i, 0, 0)))
				must(t, pack(&packed[i], r, []entry{{"file", path, 0o755}}))
			}
			if !bytes.Equal(packed[0].Bytes(), packed[1].Bytes()) {
				t.Error("the same content makes two archives")
			}
			if name == "tar" {
				content, err := gzip.NewReader(&packed[0])
				must(t, err)
				header, err := tar.NewReader(content).Next()
				must(t, err)
				if header.Uid != 0 || header.Mode != 0o755 || !header.ModTime.Equal(r.date()) {
					t.Errorf("the file is %+v", header)
				}
			}
		})
	}
}

func command(t *testing.T, directory, program string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Dir = directory
	var said bytes.Buffer
	command.Stderr = &said
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %s\n%s", program, strings.Join(arguments, " "), err, said.Bytes())
	}
	return string(output)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
