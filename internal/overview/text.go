package overview

import (
	"fmt"
	"io"
	"strings"

	"github.com/ledgerport/ledgerport/texts"
)

// Write prints a tree for people. No terminal is to obey the texts of resources.
func (n *Node) Write(out io.Writer) error {
	var text strings.Builder
	n.write(&text, "", "")
	_, err := io.WriteString(out, text.String())
	return err
}

// write prints a node whose first line begins with one text, and all others with another.
func (n *Node) write(text *strings.Builder, first, rest string) {
	name := n.Name
	if n.Namespace != "" {
		name = n.Namespace + "/" + n.Name
	}
	title := fmt.Sprintf("%s %s: %s", n.Kind, name, n.State)
	if n.Reason != "" && n.Reason != n.State {
		title += " (" + n.Reason + ")"
	}
	line(text, first, title)
	inner := rest + "   "
	if len(n.Children) > 0 {
		inner = rest + "│  "
	}
	n.details(text, inner)
	for i := range n.Children {
		if i == len(n.Children)-1 {
			n.Children[i].write(text, rest+"└─ ", rest+"   ")
		} else {
			n.Children[i].write(text, rest+"├─ ", rest+"│  ")
		}
	}
}

// details prints what there is to say of a node.
func (n *Node) details(text *strings.Builder, inner string) {
	line(text, inner, n.Message)
	labelled(text, inner, "do: ", n.Do)
	for _, note := range n.Notes {
		about := note.About
		if note.OfClaim {
			about = "held claim " + about
		}
		line(text, inner, strings.Join(present(about, note.Reason, note.Message), ": "))
		labelled(text, inner+"  ", "do: ", note.Do)
	}
	labelled(text, inner, "requested by: ", n.RequestedBy)
	labelled(text, inner, "approved by: ", n.ApprovedBy)
	labelled(text, inner, "cancelled by: ", n.CancelledBy)
	labelled(text, inner, "imported: ", n.Imported)
	labelled(text, inner, "file: ", n.Location)
	labelled(text, inner, "next: ", n.Next)
}

func present(parts ...string) (some []string) {
	for _, part := range parts {
		if part != "" {
			some = append(some, part)
		}
	}
	return some
}

func labelled(text *strings.Builder, indent, label, content string) {
	if content != "" {
		line(text, indent, label+content)
	}
}

// line prints a line, and nothing for an empty text.
func line(text *strings.Builder, indent, content string) {
	if content != "" {
		text.WriteString(indent + texts.Printable(content, texts.Message) + "\n")
	}
}

// Changed is a tree whose notes went through a function.
func (n *Node) Changed(change func(Note) Note) *Node {
	kept := *n
	kept.Note = change(n.Note)
	kept.Notes, kept.Children = nil, nil
	for _, note := range n.Notes {
		kept.Notes = append(kept.Notes, change(note))
	}
	for i := range n.Children {
		kept.Children = append(kept.Children, *n.Children[i].Changed(change))
	}
	return &kept
}
