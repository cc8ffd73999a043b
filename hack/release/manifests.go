package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// revision is the commit.
func (r *release) revision() string {
	output, err := r.output(exec.CommandContext(r.ctx, "git", "rev-parse", "HEAD"))
	if err != nil {
		return "unknown" // sources without a repository
	}
	return strings.TrimSpace(string(output))
}

// listModules writes which modules are in each binary, in the form of CycloneDX. `bin` reads them from the binary itself.
func (r *release) listModules() error {
	for _, on := range r.platforms {
		name := strings.TrimSuffix(strings.TrimSuffix(r.archive(on), ".tar.gz"), ".zip") + ".cdx.json"
		command := exec.CommandContext(r.ctx, "go", "tool", "cyclonedx-gomod", "bin", "-json", "-licenses", "-std", "-noserial", "-notimestamp", // #nosec G204 -- our own arguments
			"-version", "v"+r.semantic(), r.binary(on))
		command.Dir = filepath.Join(r.root, "hack/release")
		output, err := r.output(command)
		if err != nil {
			return err
		}
		if err := r.writeText(name, string(output)); err != nil {
			return err
		}
	}
	return nil
}

// writeInstall writes what config/default deploys as one file, with the image by its digest.
func (r *release) writeInstall() error {
	rendered, err := r.output(exec.CommandContext(r.ctx, "go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", "config/default"))
	if err != nil {
		return err
	}
	digest, err := os.ReadFile(filepath.Join(r.into, "image-digest.txt"))
	if err != nil {
		return err
	}
	_, sum, _ := strings.Cut(strings.TrimSpace(string(digest)), "@")
	const before = "image: ledgerport:dev\n"
	if bytes.Count(rendered, []byte(before)) != 1 {
		return fmt.Errorf("config/default does not have %q once", strings.TrimSpace(before))
	}
	after := fmt.Sprintf("image: %s@%s\n", r.tag, sum)
	return r.writeText("install.yaml", strings.Replace(string(rendered), before, after, 1))
}

// packChart packs the chart with the repository of the image as its default.
func (r *release) packChart() error {
	chart := filepath.Join(r.work, "chart", program)
	if err := os.CopyFS(chart, os.DirFS(filepath.Join(r.root, "charts", program))); err != nil {
		return err
	}
	for file, replacement := range map[string][2]string{
		"values.yaml": {"\n  repository: ledgerport\n", "\n  repository: " + r.repository + "\n"},
		"README.md":   {"| `image.repository` | `\"ledgerport\"` |", "| `image.repository` | `\"" + r.repository + "\"` |"},
	} {
		path := filepath.Join(chart, file)
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Contains(content, []byte(replacement[0])) {
			return fmt.Errorf("%s of the chart does not have %q", file, strings.TrimSpace(replacement[0]))
		}
		if err := os.WriteFile(path, bytes.Replace(content, []byte(replacement[0]), []byte(replacement[1]), 1), 0o644); err != nil { // #nosec G306 -- public
			return err
		}
	}
	into := filepath.Join(r.work, "packed")
	command := exec.CommandContext(r.ctx, "go", "tool", "helm", "package", chart, "--version="+r.semantic(), "--app-version="+r.version, "--destination="+into) // #nosec G204 -- our own arguments
	command.Dir = filepath.Join(r.root, "test/helm")
	command.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.FormatInt(r.seconds, 10))
	if _, err := r.output(command); err != nil {
		return err
	}
	name := program + "-" + r.semantic() + ".tgz"
	return r.write(name, func(w io.Writer) error { return copyFile(w, filepath.Join(into, name)) })
}

// download is an archive of a platform, as package managers fetch it.
type download struct{ OS, Arch, URL, SHA256, Binary string }

func (r *release) downloads() (all []download, err error) {
	for _, on := range r.platforms {
		sum, failed := r.sum(r.archive(on))
		err = errors.Join(err, failed)
		all = append(all, download{on.os, on.arch, homepage + "/releases/download/" + r.version + "/" + r.archive(on), sum, binaryName(on)})
	}
	return all, err
}

func (r *release) writeKrew() error { return r.fill("krew/ledgerport.yaml", krewManifest) }

func (r *release) writeFormula() error { return r.fill("homebrew/ledgerport.rb", formula) }

func (r *release) fill(name, text string) error {
	downloads, err := r.downloads()
	if err != nil {
		return err
	}
	parsed, err := template.New(name).Parse(text)
	if err != nil {
		return err
	}
	return r.write(name, func(w io.Writer) error {
		return parsed.Execute(w, map[string]any{"Version": r.semantic(), "Homepage": homepage, "Downloads": downloads})
	})
}

// krewManifest is for the index of krew, by which kubectl finds plugins.
const krewManifest = `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: ledgerport
spec:
  version: v{{.Version}}
  homepage: {{.Homepage}}
  shortDescription: Export expense claims into accounting systems
  description: |
    Asks the Ledgerport operator for exports of approved expense claims, and
    shows what became of them: runs, files, vouchers, and claims that are held
    with their reason. Reverses, redelivers and cancels runs. Checks manifests
    without a cluster.
  caveats: |
    The cluster needs the operator: {{.Homepage}}
    What you may do is what your rights in the cluster allow.
  platforms:{{range .Downloads}}
  - selector:
      matchLabels:
        os: {{.OS}}
        arch: {{.Arch}}
    uri: {{.URL}}
    sha256: {{.SHA256}}
    bin: {{.Binary}}{{end}}
`

// formula is for a tap of Homebrew. The second and third name make the binary a plugin of kubectl with completion.
//
//nolint:dupword // what ends a block of Ruby
const formula = `class Ledgerport < Formula
  desc "Export expense claims into accounting systems, each exactly once"
  homepage "{{.Homepage}}"
  version "{{.Version}}"
  license "Apache-2.0"
{{range .Downloads}}{{if ne .OS "windows"}}
  if OS.{{if eq .OS "darwin"}}mac{{else}}linux{{end}}? && Hardware::CPU.{{if eq .Arch "arm64"}}arm{{else}}intel{{end}}?
    url "{{.URL}}"
    sha256 "{{.SHA256}}"
  end
{{end}}{{end}}
  def install
    bin.install "ledgerport"
    bin.install_symlink "ledgerport" => "kubectl-ledgerport"
    bin.install_symlink "ledgerport" => "kubectl_complete-ledgerport"
    generate_completions_from_executable(bin/"ledgerport", "completion")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/ledgerport version")
  end
end
`
