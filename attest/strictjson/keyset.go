package strictjson

import (
	"bytes"
	"strings"
	"unicode"
)

// small is how many keys an object may have before its keys go into a map.
const small = 8

// keySet holds the keys of one object. The keys are parts of the scanned text.
type keySet struct {
	few  [small][]byte
	n    int               // used entries of few
	many map[string]string // folded key to key, of the keys after those
}

// add puts key in, or returns the key of the set that it equals but for case.
func (k *keySet) add(key []byte) (other string, ok bool) {
	for _, o := range k.few[:k.n] {
		if len(o) == len(key) || !ascii(o) || !ascii(key) {
			if bytes.EqualFold(o, key) {
				return string(o), false
			}
		}
	}
	if k.n < small {
		k.few[k.n] = key
		k.n++
		return "", true
	}
	if k.many == nil {
		k.many = make(map[string]string, 4*small)
	}
	f := fold(string(key))
	if other, double := k.many[f]; double {
		return other, false
	}
	k.many[f] = string(key)
	return "", true
}

// ascii reports whether key is ASCII: two such keys that fold to each other
// have the same length.
func ascii(key []byte) bool {
	for _, c := range key {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// fold maps texts that strings.EqualFold calls equal, and only those, to one:
// each character becomes the smallest of those that it folds to.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r
		}
		least := r
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			least = min(least, c)
		}
		return least
	}, s)
}
