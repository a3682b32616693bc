package evidence

// Order tells which builds cannot have been copied from which.
type Order struct {
	evidence map[string]*Evidence
}

// NewOrder looks at the evidence of one release, one of each organisation.
func NewOrder(list []*Evidence) *Order {
	o := &Order{evidence: make(map[string]*Evidence, len(list))}
	for _, e := range list {
		o.evidence[e.Organisation] = e
	}
	return o
}

// Before reports whether x had committed when y revealed: y's reveal names the
// commitment of x. Then x cannot have copied from y.
func (o *Order) Before(x, y string) bool {
	a, b := o.evidence[x], o.evidence[y]
	if a == nil || b == nil || a.Commitment == nil || b.Reveal == nil {
		return false
	}
	digest := a.Files[CommitmentFile]
	return digest != "" && b.Reveal.Seen[x] == digest
}

// Independent reports whether neither of the two can have copied from the
// other.
func (o *Order) Independent(x, y string) bool { return o.Before(x, y) && o.Before(y, x) }

// Votes are the most organisations of a list, as far as is found, of which none
// can have copied from another one of them. A single one is always such a list.
// The search is greedy, from each organisation in turn: it may find fewer than
// there are where reveals name some commitments and not others, never more.
func (o *Order) Votes(list []string) []string {
	var best []string
	for n := range list {
		votes := []string{list[n]}
		for k := range list {
			if k != n && o.fits(list[k], votes) {
				votes = append(votes, list[k])
			}
		}
		if len(votes) > len(best) {
			best = votes
		}
	}
	return best
}

func (o *Order) fits(x string, votes []string) bool {
	for _, y := range votes {
		if !o.Independent(x, y) {
			return false
		}
	}
	return true
}

// Copies are those of the list whose build may have been copied: from others
// that revealed theirs without having seen the commitment of this one.
func (o *Order) Copies(x string, list []string) []string {
	var from []string
	for _, y := range list {
		if y != x && !o.Before(x, y) {
			from = append(from, y)
		}
	}
	return from
}
