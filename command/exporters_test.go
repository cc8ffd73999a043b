package command_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
)

func TestExportersAreListedWithTheirOptions(t *testing.T) {
	t.Parallel()
	says := func(arguments ...string) string {
		t.Helper()
		var out bytes.Buffer
		c := command.New(builtin.Registry())
		c.SetArgs(append([]string{"exporters"}, arguments...))
		c.SetOut(&out)
		if err := c.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	list := says()
	for _, exporter := range builtin.Exporters() {
		if !strings.Contains(list, exporter.Type()) || !strings.Contains(list, exporter.Version()) {
			t.Errorf("the list has no %s:\n%s", exporter.Type(), list)
		}
		var one struct {
			Type    string
			Options []struct{ Name, Type, Default, Meaning string }
		}
		if err := json.Unmarshal([]byte(says(exporter.Type(), "-o", "json")), &one); err != nil {
			t.Fatal(err)
		}
		if one.Type != exporter.Type() || len(one.Options) == 0 {
			t.Errorf("%s has %d options; does its page have the table?", exporter.Type(), len(one.Options))
		}
		text := says(exporter.Type())
		for _, option := range one.Options {
			if option.Name == "" || option.Type == "" || option.Meaning == "" || strings.ContainsAny(option.Name+option.Type, "|`") {
				t.Errorf("an option of %s was read as %+v", exporter.Type(), option)
			}
			if !strings.Contains(text, "\n"+option.Name+" (") {
				t.Errorf("%s does not print %s", exporter.Type(), option.Name)
			}
		}
	}
}

func TestAnExporterThatDoesNotExistIsNotDescribed(t *testing.T) {
	t.Parallel()
	c := command.New(builtin.Registry())
	c.SetArgs([]string{"exporters", "nothing"})
	if err := c.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), `no exporter "nothing"; this binary has `) {
		t.Errorf("it says %v", err)
	}
}
