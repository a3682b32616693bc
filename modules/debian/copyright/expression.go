package copyright

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// expression is a licence (name) or a list joined by one operator.
type expression struct {
	name     string
	operator string // "AND" or "OR"
	parts    []expression
}

// maxNames bounds the names in one License field.
const maxNames = 500

// parseExpression reads the synopsis of a License field: names joined by "and"
// and "or", of which "and" binds more tightly, unless a comma before the word
// says that all on its left belongs together.
func parseExpression(text string) (expression, error) {
	var whole expression
	for i, segment := range strings.Split(text, ",") {
		words := strings.Fields(segment)
		operator := "AND"
		if i > 0 {
			if len(words) == 0 {
				return whole, errors.New("a comma with nothing after it")
			}
			switch word := strings.ToLower(words[0]); word {
			case "and", "or":
				operator, words = strings.ToUpper(word), words[1:]
			default:
				// "A, B and C" is a list; with "or" in it, it could mean anything.
				if strings.Contains(" "+strings.ToLower(text)+" ", " or ") {
					return whole, errors.New("a comma with neither \"and\" nor \"or\" after it")
				}
			}
		}
		e, err := parseSegment(words)
		if err != nil {
			return whole, err
		}
		if i == 0 {
			whole = e
		} else {
			whole = join(operator, whole, e)
		}
	}
	return whole, nil
}

// parseSegment reads names without commas.
func parseSegment(words []string) (expression, error) {
	var or, and []expression
	var name []string
	count := 0
	endName := func() error {
		if len(name) == 0 {
			return errors.New("an operator without a name beside it")
		}
		if count++; count > maxNames {
			return errors.New("too many names")
		}
		and = append(and, expression{name: strings.Join(name, " ")})
		name = nil
		return nil
	}
	for _, word := range words {
		switch strings.ToLower(word) {
		case "and":
			if err := endName(); err != nil {
				return expression{}, err
			}
		case "or":
			if err := endName(); err != nil {
				return expression{}, err
			}
			or, and = append(or, join("AND", and...)), nil
		default:
			name = append(name, word)
		}
	}
	if err := endName(); err != nil {
		return expression{}, err
	}
	return join("OR", append(or, join("AND", and...))...), nil
}

// join joins by an operator; what is joined by the same one is taken in.
func join(operator string, parts ...expression) expression {
	e := expression{operator: operator}
	for _, p := range parts {
		if p.operator == operator {
			e.parts = append(e.parts, p.parts...)
		} else {
			e.parts = append(e.parts, p)
		}
	}
	if len(e.parts) == 1 {
		return e.parts[0]
	}
	return e
}

// conjuncts are the parts that are joined by "and" at the top.
func (e expression) conjuncts() []expression {
	if e.operator == "AND" {
		return e.parts
	}
	return []expression{e}
}

// spdx writes the expression with the identifiers that id gives to names, sorted:
// their order means nothing.
func (e expression) spdx(id func(name string) string) string {
	if e.operator == "" {
		return id(e.name)
	}
	var list []string
	for _, p := range e.parts {
		text := p.spdx(id)
		if e.operator == "AND" && p.operator == "OR" {
			text = "(" + text + ")"
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " "+e.operator+" ")
}

// gnu matches the GNU licences, whose versions Debian writes in its own way:
// "GPL-2+" is "GPL-2.0-or-later".
var gnu = regexp.MustCompile(`^(A?GPL|LGPL|GFDL)(-NIV)?-([0-9](?:\.[0-9])?)(\+?)$`)

// gnuVersions are the versions that there are.
var gnuVersions = map[string]bool{
	"GPL-1.0": true, "GPL-2.0": true, "GPL-3.0": true,
	"LGPL-2.0": true, "LGPL-2.1": true, "LGPL-3.0": true,
	"AGPL-3.0": true, "GFDL-1.1": true, "GFDL-1.2": true, "GFDL-1.3": true,
}

// synonyms are names that the copyright format defines, or that only one
// licence bears, and SPDX's name for it; in lower case.
var synonyms = map[string]string{
	"apache-2": "Apache-2.0", "bsl-1": "BSL-1.0", "cc0": "CC0-1.0", "expat": "MIT",
	"openldap-2.8": "OLDAP-2.8",
}

// identifiers are the SPDX identifiers that a file may use as they are. The list
// holds what Debian's files use; whatever is not in it becomes a LicenseRef.
var identifiers = lowered(
	"0BSD", "AFL-2.1", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "Beerware", "BSD-1-Clause", "BSD-2-Clause",
	"BSD-3-Clause", "BSD-3-Clause-Attribution", "BSD-4-Clause", "BSD-4-Clause-UC", "BSL-1.0", "bzip2-1.0.6",
	"CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0", "curl", "EPL-1.0", "EPL-2.0", "EUPL-1.2",
	"FSFAP", "FSFUL", "FSFULLR", "FSFULLRWD", "HPND", "ICU", "IJG", "ISC", "Kazlib", "Latex2e", "Libpng", "LPPL-1.3c",
	"MIT", "MIT-0", "MIT-CMU", "MPL-1.1", "MPL-2.0", "MS-PL", "NCSA", "OFL-1.1", "OLDAP-2.8", "OpenSSL", "PHP-3.01",
	"PostgreSQL", "PSF-2.0", "Python-2.0", "QPL-1.0", "RSA-MD", "Ruby", "Sleepycat", "SMLNJ", "SSLeay", "TCL",
	"Unicode-3.0", "Unicode-DFS-2016", "Unlicense", "Vim", "W3C", "WTFPL", "X11", "Zlib", "ZPL-2.1",
	"GPL-1.0-only", "GPL-1.0-or-later", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later",
	"LGPL-2.0-only", "LGPL-2.0-or-later", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later",
)

// exceptions are SPDX's names for exceptions that only one text bears in Debian;
// with the licence where its version decides.
var exceptions = map[string]string{
	"linux-syscall-note": "Linux-syscall-note", "libtool": "Libtool-exception", "classpath": "Classpath-exception-2.0",
	"gpl-3.0-or-later autoconf": "Autoconf-exception-3.0", "bison-2.2": "Bison-exception-2.2",
}

func lowered(ids ...string) map[string]string {
	m := map[string]string{}
	for _, id := range ids {
		m[strings.ToLower(id)] = id
	}
	return m
}

// known is SPDX's expression for a short name, if there is one that means the
// same for certain.
func known(name string) (string, bool) {
	lower := strings.ToLower(name)
	if licence, exception, ok := strings.Cut(lower, " with "); ok {
		id, ok := known(licence)
		exception, worded := strings.CutSuffix(exception, " exception")
		for _, key := range []string{exception, strings.ToLower(id) + " " + exception} {
			if e := exceptions[key]; ok && worded && e != "" {
				return id + " WITH " + e, true
			}
		}
		return "", false
	}
	if m := gnu.FindStringSubmatch(strings.ToUpper(name)); m != nil {
		return gnuName(m[1], m[2] != "", m[3], m[4] != "")
	}
	if id, ok := synonyms[lower]; ok {
		return id, true
	}
	id, ok := identifiers[lower]
	return id, ok
}

// gnuName is the SPDX identifier of a GNU licence. The documentation licence
// without a word on invariant sections is not taken for the one without them.
func gnuName(family string, noInvariants bool, version string, later bool) (string, bool) {
	if !strings.Contains(version, ".") {
		version += ".0"
	}
	id := family + "-" + version
	if !gnuVersions[id] || noInvariants && family != "GFDL" {
		return "", false
	}
	if noInvariants {
		id += "-no-invariants"
	}
	if later {
		return id + "-or-later", true
	}
	return id + "-only", true
}
