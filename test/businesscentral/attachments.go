package businesscentral

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// incoming is an incoming document (table 130): files that a line of a journal refers to by number, and that belong to a document number
// and posting date once that line is posted.
type incoming struct {
	document, date string
	files          []*attachment
}

// attachment is the resource of this name.
type attachment struct {
	id, name string
	content  []byte
}

// Attached is a file at a document.
type Attached struct {
	Name    string
	Content string
}

var (
	attachmentsPath = regexp.MustCompile(`^companies\(([^)]*)\)/attachments$`)
	attachmentPath  = regexp.MustCompile(`^companies\(([^)]*)\)/attachments\(([^)]*)\)(/attachmentContent)?$`)
	attachedTo      = regexp.MustCompile(`^parentId eq ([0-9a-f-]{36}) and parentType eq 'Journal'$`)
)

const nothing = "00000000-0000-0000-0000-000000000000"

// Attachments are what is attached to each document number, posted or not, by name.
func (s *Server) Attachments() map[string][]Attached {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string][]Attached{}
	add := func(document string, in *incoming) {
		for _, file := range in.files {
			found[document] = append(found[document], Attached{file.name, string(file.content)})
		}
		slices.SortFunc(found[document], func(a, b Attached) int { return strings.Compare(a.Name, b.Name) })
	}
	for _, in := range s.incoming {
		if in.document != "" {
			add(in.document, in)
		}
	}
	for _, j := range s.journals {
		for _, l := range j.lines {
			if l.incoming > 0 {
				add(l.DocumentNumber, s.incoming[l.incoming-1])
			}
		}
	}
	return found
}

// Unlinked counts the attachments that belong to nothing.
func (s *Server) Unlinked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unlinked)
}

// PostAll posts every journal, as a person would.
func (s *Server) PostAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.journals {
		if len(j.lines) > 0 {
			s.post(j)
		}
	}
}

// attachmentRequest answers a request that is no operation of a batch here: one that makes an attachment, changes its content, or deletes it.
func (s *Server) attachmentRequest(w http.ResponseWriter, r *http.Request, path string) bool {
	one := attachmentPath.FindStringSubmatch(path)
	switch {
	case r.Method == http.MethodPost && attachmentsPath.MatchString(path) && strings.HasPrefix(path, "companies("+Company+")"):
		s.createAttachment(w, r)
	case len(one) == 4 && one[1] == Company && (r.Method == http.MethodPatch && one[3] != "" || r.Method == http.MethodDelete && one[3] == ""):
		s.changeAttachment(w, r, one[2])
	default:
		return false
	}
	return true
}

// createAttachment makes an attachment of a line or an entry; where there is no such parent it makes one that belongs to nothing.
func (s *Server) createAttachment(w http.ResponseWriter, r *http.Request) {
	var wanted struct{ ParentID, ParentType, FileName string }
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || decoder.Decode(&wanted) != nil || wanted.ParentType != "Journal" || wanted.FileName == "" || units(wanted.FileName) > 250 {
		refuse(w, http.StatusBadRequest, "BadRequest", "Invalid Request Body")
		return
	}
	if s.settings.NoAttachments {
		refuse(w, http.StatusBadRequest, "Application_DialogException", "Incoming Document Setup does not exist.")
		return
	}
	file := &attachment{id: newID(), name: wanted.FileName}
	parent, parentType := wanted.ParentID, wanted.ParentType
	if in, found := s.incomingOf(wanted.ParentID, true); found {
		in.files = append(in.files, file)
	} else {
		s.unlinked = append(s.unlinked, file)
		parent, parentType = nothing, " "
	}
	reply(w, http.StatusCreated, map[string]any{"id": file.id, "parentId": parent, "fileName": file.name, "byteSize": 0, "parentType": parentType})
}

// incomingOf is the incoming document of a line or entry, which may be made; nil of one that has none.
func (s *Server) incomingOf(parent string, create bool) (in *incoming, found bool) {
	for _, j := range s.journals {
		for number, l := range j.lines {
			if l.id != parent {
				continue
			}
			if l.incoming == 0 && create {
				s.incoming = append(s.incoming, &incoming{})
				l.incoming = len(s.incoming)
				j.lines[number] = l
			}
			if l.incoming == 0 {
				return nil, true
			}
			return s.incoming[l.incoming-1], true
		}
	}
	for _, entry := range s.entries {
		if entry.id != parent {
			continue
		}
		for _, in := range s.incoming {
			if in.document == entry.Document && in.date == entry.PostingDate {
				return in, true
			}
		}
		if !create {
			return nil, true
		}
		in := &incoming{document: entry.Document, date: entry.PostingDate}
		s.incoming = append(s.incoming, in)
		return in, true
	}
	return nil, false
}

func (s *Server) listAttachments(parameters url.Values) response {
	match := attachedTo.FindStringSubmatch(parameters.Get("$filter"))
	if match == nil {
		return refusal(http.StatusBadRequest, "BadRequest", "this server filters attachments by their parent")
	}
	in, found := s.incomingOf(match[1], false)
	if !found {
		return refusal(http.StatusBadRequest, "Application_DialogException", "Document type is not valid.")
	}
	values := []any{}
	if in != nil {
		for _, file := range in.files {
			values = append(values, map[string]any{"id": file.id, "parentId": match[1], "fileName": file.name, "byteSize": len(file.content), "parentType": "Journal"})
		}
	}
	return page(values)
}

// changeAttachment replaces the content of an attachment, or deletes it.
func (s *Server) changeAttachment(w http.ResponseWriter, r *http.Request, id string) {
	if r.Header.Get("If-Match") == "" {
		refuse(w, http.StatusBadRequest, "BadRequest", "The If-Match header is required.")
		return
	}
	of := append([]*incoming{{files: s.unlinked}}, s.incoming...)
	for i, in := range of {
		at := slices.IndexFunc(in.files, func(file *attachment) bool { return file.id == id })
		if at < 0 {
			continue
		}
		if r.Method == http.MethodDelete {
			in.files = slices.Delete(in.files, at, at+1)
			if i == 0 {
				s.unlinked = in.files
			}
			reply(w, http.StatusNoContent, nil)
			return
		}
		content, err := io.ReadAll(r.Body)
		if err != nil || int64(len(content)) != r.ContentLength {
			refuse(w, http.StatusBadRequest, "BadRequest", "The content is cut off.")
			return
		}
		in.files[at].content = content
		reply(w, http.StatusNoContent, nil)
		return
	}
	refuse(w, http.StatusNotFound, "Internal_RecordNotFound", "The attachment does not exist.")
}
