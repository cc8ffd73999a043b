package main

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// damage counts what must never happen.
type damage struct {
	// Lost claims are approved and in no artifact of a committed run, or were reversed and not exported again.
	Lost int `json:"lost"`
	// Duplicated claims are in more than one artifact, or twice in one, and were not reversed in between.
	Duplicated int `json:"duplicated"`
	// Unbalanced vouchers do not sum to zero, or have another amount than the claim's lines, to the cent, in all or on company cards.
	Unbalanced int `json:"unbalanced"`
	// Gaps are voucher numbers that are neither used nor voided, or more than once.
	Gaps int `json:"gaps"`
	// Partial are files that belong to no committed run, or are not what is recorded, or are missing.
	Partial int `json:"partial"`
	// Stuck are runs that have not ended.
	Stuck int `json:"stuck"`
	// Disagree are runs of which resource and database say different things.
	Disagree int `json:"disagree"`
	// Unheld are claims with a line number twice that are in an artifact.
	Unheld int `json:"unheld"`
	// Forgotten are claims that a restored database exported again.
	Forgotten int `json:"forgotten"`
	// Crashed are operators that ended though nobody ended them, or that a kubelet would end, and panics that they caught.
	Crashed int `json:"crashed"`
	// Receipts that are not beside their artifact, or are another's, or are not listed.
	Receipts int `json:"receipts"`
	// Untold are ends of runs of which nobody was told, or in the wrong order, or that have not come.
	Untold int `json:"untold"`
	// Repeated are requests of applications that have made no run, or more than one.
	Repeated int `json:"repeated"`
	// Mistold are answers of the console that are not so, and files that came otherwise than they were delivered.
	Mistold int `json:"mistold"`
	// Unapproved are artifacts that were delivered without the approval that they needed, and approvals that were taken though they were forged.
	Unapproved int `json:"unapproved"`
	// Unheeded are approvals that were given and did not count, and runs that did not wait for one as long as they may.
	Unheeded int `json:"unheeded"`
	// Leaked are passwords, bank accounts and names of claimants where nobody is to see them.
	Leaked int `json:"leaked"`
}

// judge compares everything with everything. The report has a line for each damage, up to a number of each kind.
func judge(e *evidence) (damage, []string) {
	j := &judgement{evidence: e, claims: map[string]approvedClaim{}, owned: map[string]bool{}, histories: map[bookedClaim][]entry{}, numbers: map[string][]int64{}}
	for _, claim := range e.claims {
		j.claims[claim.id] = claim
	}
	for i := range e.runs {
		j.judgeRun(&e.runs[i])
	}
	for _, claim := range e.forgotten {
		j.note(&j.found.Forgotten, "claim %s was exported again by a database that was restored from an older backup", claim)
	}
	books := booksOf(e.runs)
	for _, claim := range e.claims {
		for _, book := range books[claim.organization] {
			j.judgeClaim(claim, book)
		}
	}
	for location := range e.files {
		if !j.owned[location] {
			j.note(&j.found.Partial, "%s belongs to no committed run", location)
		}
	}
	j.judgeNumbers()
	j.judgeResources()
	j.judgeNotifications()
	j.judgeAnswers()
	j.judgeApprovals()
	for _, crash := range e.crashed {
		j.note(&j.found.Crashed, "%s", crash)
	}
	for _, leak := range e.leaks {
		j.note(&j.found.Leaked, "what nobody is to see was written: %s", leak)
	}
	return j.found, j.report
}

// booksOf returns the books of each organisation: those that it has runs of.
func booksOf(runs []recordedRun) map[string][]string {
	books := map[string][]string{}
	for _, run := range runs {
		if !slices.Contains(books[run.organization], run.book) {
			books[run.organization] = append(books[run.organization], run.book)
		}
	}
	return books
}

// bookedClaim is a claim in a book.
type bookedClaim struct{ book, claim string }

// judgement is what was found so far, and what the committed runs have in their files.
type judgement struct {
	evidence  *evidence
	claims    map[string]approvedClaim // by id
	owned     map[string]bool          // locations of files
	histories map[bookedClaim][]entry
	numbers   map[string][]int64 // by series

	found  damage
	report []string
}

// mostNoted is how many of a kind are in the report.
const mostNoted = 20

// note counts one damage and says what it is.
func (j *judgement) note(counter *int, format string, args ...any) {
	*counter++
	if *counter <= mostNoted {
		j.report = append(j.report, fmt.Sprintf(format, args...))
	}
}

// judgeClaim insists that a claim is exported once to a book, or held.
func (j *judgement) judgeClaim(claim approvedClaim, book string) {
	history := j.histories[bookedClaim{book, claim.id}]
	if claim.held {
		if len(history) > 0 {
			j.note(&j.found.Unheld, "claim %s of %s has a line number twice, and was exported to %s: %+v", claim.id, claim.organization, book, history)
		}
		return
	}
	lost, duplicated := judgeHistory(history)
	if lost {
		j.note(&j.found.Lost, "claim %s of %s is in no artifact of the book %s, or was reversed since: %+v", claim.id, claim.organization, book, history)
	}
	if duplicated {
		j.note(&j.found.Duplicated, "claim %s of %s is exported to %s more than once: %+v", claim.id, claim.organization, book, history)
	}
}

// judgeRun looks at a run and, where it is committed, at its files.
func (j *judgement) judgeRun(run *recordedRun) {
	if run.state != "committed" {
		if run.state != "released" {
			j.note(&j.found.Stuck, "run %s/%s is %s in the database", run.namespace, run.name, run.state)
		}
		return
	}
	if run.redelivers != "" {
		j.judgeRedelivery(run)
	}
	var list []byte // of the receipts
	exported := map[string]bool{}
	for _, file := range run.files {
		location := run.location[:strings.LastIndex(run.location, "/")+1] + file.Name
		j.owned[location] = true
		content, there := j.evidence.files[location]
		if !there || hashOf(content) != file.SHA256 || int64(len(content)) != file.Size {
			j.note(&j.found.Partial, "run %s/%s: %s is missing or not what is recorded", run.namespace, run.name, location)
			continue
		}
		if file.Name == receiptList {
			list = content
			continue
		}
		if run.redelivers != "" {
			continue // what is in it is the other run's
		}
		inFile, err := vouchers(file.Name, content)
		if err != nil {
			j.note(&j.found.Partial, "%s cannot be read: %s", location, err)
		}
		for len(inFile) > 0 {
			several := 1
			for several < len(inFile) && inFile[several].claim == inFile[0].claim {
				several++
			}
			j.judgeVouchers(run, location, inFile[:several])
			exported[inFile[0].claim] = true
			inFile = inFile[several:]
		}
	}
	j.judgeReceipts(run, list, exported)
}

// judgeRedelivery insists that a run delivers exactly what another one does.
func (j *judgement) judgeRedelivery(run *recordedRun) {
	of := slices.IndexFunc(j.evidence.runs, func(other recordedRun) bool { return other.id == run.redelivers && other.state == "committed" })
	if of < 0 || len(run.files) == 0 || !slices.Equal(run.files, j.evidence.runs[of].files) {
		j.note(&j.found.Partial, "run %s/%s delivers %v again, which is not what run %q has delivered", run.namespace, run.name, run.files, run.redelivers)
	}
}

// judgeVouchers compares the vouchers of a claim in a file, which come one after another, with the claim, and keeps them for its history
// and their series.
func (j *judgement) judgeVouchers(run *recordedRun, location string, vouchers []voucher) {
	v := vouchers[0]
	of := bookedClaim{run.book, v.claim}
	j.histories[of] = append(j.histories[of], entry{v.year, v.number, run.id, run.reverses})
	for i, one := range vouchers {
		series := run.organization + "/" + run.book + "/" + run.series + "/" + one.year
		j.numbers[series] = append(j.numbers[series], one.number)
		if one.debit != one.credit {
			j.note(&j.found.Unbalanced, "%s, voucher %d of claim %s: debit %d, credit %d", location, one.number, one.claim, one.debit, one.credit)
		}
		if i > 0 {
			v.debit, v.card = v.debit+one.debit, v.card+one.card
		}
	}
	claim, approved := j.claims[v.claim]
	card := claim.card
	if run.reverses != "" {
		card = -card
	}
	if v.card != card {
		j.note(&j.found.Unbalanced, "%s, voucher %d of claim %s: %d on company cards, which have paid %d", location, v.number, v.claim, v.card, card)
	}
	if !approved || claim.organization != run.organization || v.debit != claim.cents {
		j.note(&j.found.Unbalanced, "%s, vouchers from %d of claim %s: debit %d, the claim comes to %d", location, v.number, v.claim, v.debit, claim.cents)
	}
}

// entry is one voucher of a claim in the file of a run, which may reverse another run.
type entry struct {
	year          string
	number        int64
	run, reverses string
}

// judgeHistory follows the vouchers of a claim by their numbers, which say in which order they were made: exported,
// reversed by a reversal of that very run, exported again, and exported in the end.
func judgeHistory(history []entry) (lost, duplicated bool) {
	slices.SortFunc(history, func(a, b entry) int { return cmp.Or(strings.Compare(a.year, b.year), cmp.Compare(a.number, b.number)) })
	exportedBy := ""
	for _, e := range history {
		switch e.reverses {
		case "":
			duplicated = duplicated || exportedBy != ""
			exportedBy = e.run
		case exportedBy:
			exportedBy = ""
		default: // what was not exported, or by another run, was reversed
			lost = true
		}
	}
	return lost || exportedBy == "", duplicated
}

// judgeNumbers insists that each series counts from 1 to where it stands, each number used or voided once.
func (j *judgement) judgeNumbers() {
	for _, voided := range j.evidence.voided {
		for n := voided.first; n <= voided.last; n++ {
			j.numbers[voided.series] = append(j.numbers[voided.series], n)
		}
	}
	stands := map[string]int64{}
	for _, n := range j.evidence.numbering {
		stands[n.series] = n.next
	}
	for series, numbers := range j.numbers {
		slices.Sort(numbers)
		want := int64(1)
		for _, n := range numbers {
			if n != want {
				j.note(&j.found.Gaps, "series %s has %d where %d is due", series, n, want)
			}
			want = n + 1
		}
		if stands[series] != want {
			j.note(&j.found.Gaps, "series %s stands at %d, and its last number is %d", series, stands[series], want-1)
		}
		delete(stands, series)
	}
	for series, next := range stands {
		j.note(&j.found.Gaps, "series %s stands at %d, and no number is used", series, next)
	}
}

// judgeResources compares each ExportRun with the record of its UID, or else of its name: one that was applied again. A record of
// another cluster is none of its own.
func (j *judgement) judgeResources() {
	byID, committed := map[string]recordedRun{}, map[string]recordedRun{}
	for _, run := range j.evidence.runs {
		byID[run.id] = run
		if run.state == "committed" {
			committed[path.Join(run.cluster, run.namespace, run.name)] = run
		}
	}
	for i := range j.evidence.resources {
		resource := &j.evidence.resources[i]
		name := path.Join(resource.Namespace, resource.Name)
		if !resource.Status.Phase.Finished() {
			j.note(&j.found.Stuck, "ExportRun %s is %q", name, resource.Status.Phase)
			continue
		}
		record, known := byID[string(resource.UID)]
		if !known {
			record, known = committed[path.Join(resource.cluster, name)]
		}
		succeeded := resource.Status.Phase == v1alpha1.RunSucceeded
		switch {
		case succeeded != (known && record.state == "committed"):
			j.note(&j.found.Disagree, "ExportRun %s is %s, and the database says %q", name, resource.Status.Phase, record.state)
		case succeeded && (resource.Status.Claims != record.claims || resource.Status.Location != record.location ||
			len(record.files) > 0 && resource.Status.SHA256 != record.files[0].SHA256):
			j.note(&j.found.Disagree, "ExportRun %s tells %+v, and the database has %d claims at %s", name, resource.Status.RunResult, record.claims, record.location)
		}
	}
}
