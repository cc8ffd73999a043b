package command

import (
	"bytes"
	"encoding/json"
	"log"
	"log/slog"
	"strings"
	"testing"
)

// TestWhatLibrariesPrintIsMadeHarmless is alone, because it changes what the whole process logs with.
func TestWhatLibrariesPrintIsMadeHarmless(t *testing.T) {
	before, flags, writer := slog.Default(), log.Flags(), log.Writer()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetFlags(flags)
		log.SetOutput(writer)
	})
	var written bytes.Buffer
	logTo(&written, slog.LevelInfo)
	const words = "no upload\n{\"level\":\"INFO\",\"msg\":\"made up\"}\x1b[2J"
	log.Printf("the library says: %s", words)
	slog.Error("the library says", "error", words)
	lines := strings.Split(strings.TrimSpace(written.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("of two messages came %d lines: %q", len(lines), lines)
	}
	for _, line := range lines {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["msg"] == "made up" || strings.Contains(line, `\u001b`) {
			t.Errorf("%q is written (%v)", line, err)
		}
	}
}
