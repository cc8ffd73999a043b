// Package offline reads resources from files and says what the API server and the operator would say of them, without a
// cluster.
package offline

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/texts"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// manifest is one resource in a file.
type manifest struct {
	file   string
	line   int // of the document within the file, from 1
	object *unstructured.Unstructured
	node   *yamlv3.Node // the document, for lines
}

// Finding is something that is wrong.
type Finding struct {
	// File and Line where it is; Line is 0 where it is not known.
	File string
	Line int
	// Resource as KIND NAMESPACE/NAME; empty where a file cannot be read.
	Resource string
	// Problem names the field, and what is wrong with it.
	Problem string
}

// String returns FILE:LINE: RESOURCE: PROBLEM on one line: resources may be of somebody else.
func (f Finding) String() string {
	text := f.File + ":"
	if f.Line > 0 {
		text += strconv.Itoa(f.Line) + ":"
	}
	if f.Resource != "" {
		text += " " + f.Resource + ":"
	}
	return texts.Printable(text+" "+f.Problem, texts.Message)
}

// at is a finding about a field, whose line it looks up.
func (m *manifest) at(field, problem string) Finding {
	if field != "" {
		problem = field + ": " + problem
	}
	return Finding{File: m.file, Line: m.lineOf(field), Resource: m.name(), Problem: problem}
}

// name is KIND NAMESPACE/NAME.
func (m *manifest) name() string {
	return fmt.Sprintf("%s %s/%s", m.object.GetKind(), m.object.GetNamespace(), m.object.GetName())
}

var pathStep = regexp.MustCompile(`\[([^\]]*)\]|[^.\[\]]+`)

// lineOf returns the line of a field such as spec.rules[2].account, or of what is nearest above it.
func (m *manifest) lineOf(field string) int {
	node, line := m.node, m.line
	for _, step := range pathStep.FindAllString(field, -1) {
		key := strings.Trim(step, `[]"`)
		next := child(node, key)
		if next == nil {
			break
		}
		node, line = next.value, m.line+next.line-1
	}
	return line
}

// unquoted returns the text of a scalar that is a number, a truth value or a time unless it is written in quotes.
func (m *manifest) unquoted(field string) (text string, is bool) {
	node := m.node
	for _, step := range pathStep.FindAllString(field, -1) {
		next := child(node, strings.Trim(step, `[]"`))
		if next == nil {
			return "", false
		}
		node = next.value
	}
	plain := node.Kind == yamlv3.ScalarNode && node.Style&(yamlv3.SingleQuotedStyle|yamlv3.DoubleQuotedStyle|yamlv3.LiteralStyle|yamlv3.FoldedStyle) == 0
	return node.Value, plain && node.Value != "" && node.ShortTag() != "!!null"
}

// located is a value and where its key, or the value itself in a list, is.
type located struct {
	value *yamlv3.Node
	line  int
}

func child(node *yamlv3.Node, key string) *located {
	for node.Kind == yamlv3.DocumentNode || node.Kind == yamlv3.AliasNode {
		if node.Kind == yamlv3.AliasNode {
			node = node.Alias
		} else if node = node.Content[0]; node == nil {
			return nil
		}
	}
	switch node.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return &located{node.Content[i+1], node.Content[i].Line}
			}
		}
	case yamlv3.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(node.Content) {
			return &located{node.Content[i], node.Content[i].Line}
		}
	default:
	}
	return nil
}

// read reads every manifest of files, of directories with all that is below them, and of standard input.
func read(paths []string, stdin io.Reader) (manifests []*manifest, findings []Finding, err error) {
	for _, path := range paths {
		if path == Stdin {
			content, err := io.ReadAll(stdin)
			if err != nil {
				return nil, nil, err
			}
			found, wrong := parse("<stdin>", content)
			manifests, findings = append(manifests, found...), append(findings, wrong...)
			continue
		}
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || name != path && !isManifest(name) {
				return err
			}
			content, err := os.ReadFile(name) // #nosec G122 -- the user's own files
			if err != nil {
				return err
			}
			found, wrong := parse(name, content)
			manifests, findings = append(manifests, found...), append(findings, wrong...)
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return manifests, findings, nil
}

// isManifest reports whether a file of a directory is read: what is for kustomize alone is not.
func isManifest(name string) bool {
	extension := filepath.Ext(name)
	return slices.Contains([]string{".yaml", ".yml", ".json"}, extension) && strings.TrimSuffix(filepath.Base(name), extension) != "kustomization"
}

// parse reads the documents of a file.
func parse(file string, content []byte) (manifests []*manifest, findings []Finding) {
	for _, document := range split(content) {
		m, finding := parseDocument(file, document)
		switch {
		case finding != nil:
			findings = append(findings, *finding)
		case m != nil:
			manifests = append(manifests, m)
		}
	}
	return manifests, findings
}

type document struct {
	line    int
	content []byte
}

// split cuts at the lines by which YAML ends a document.
func split(content []byte) (documents []document) {
	current := document{line: 1}
	reader := bufio.NewReader(bytes.NewReader(content))
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if text := strings.TrimRight(string(line), " \t\r\n"); text == "---" || strings.HasPrefix(text, "--- ") {
			documents = append(documents, current)
			current = document{line: number + 1}
		} else {
			current.content = append(current.content, line...)
		}
		if err != nil {
			return append(documents, current)
		}
	}
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

func parseDocument(file string, d document) (*manifest, *Finding) {
	var node yamlv3.Node
	if err := yamlv3.Unmarshal(d.content, &node); err != nil {
		return nil, malformed(file, d, err)
	}
	if node.Kind == 0 || len(node.Content) == 0 || node.Content[0].Tag == "!!null" {
		return nil, nil // nothing but comments
	}
	converted, err := yaml.YAMLToJSONStrict(d.content)
	if err != nil {
		return nil, malformed(file, d, err)
	}
	var content map[string]any
	if err := json.Unmarshal(converted, &content); err != nil {
		return nil, &Finding{File: file, Line: d.line, Problem: "is not a resource: " + err.Error()}
	}
	m := &manifest{file: file, line: d.line, node: &node, object: &unstructured.Unstructured{Object: content}}
	if m.object.GetKind() == "" || m.object.GetAPIVersion() == "" {
		return nil, &Finding{File: file, Line: m.line + node.Content[0].Line - 1, Problem: "has no apiVersion or no kind, and is no resource"}
	}
	return m, nil
}

func malformed(file string, d document, err error) *Finding {
	line := 1
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		line, _ = strconv.Atoi(found[1]) // digits
	}
	return &Finding{File: file, Line: d.line + line - 1, Problem: "is not YAML: " + yamlProblem(err)}
}

// yamlProblem returns the error without the line, which is that within the document.
func yamlProblem(err error) string {
	if found := yamlProblemText.FindStringSubmatch(err.Error()); found != nil {
		return found[1]
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}

var yamlProblemText = regexp.MustCompile(`line \d+: (.*)`)
