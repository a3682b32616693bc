package verify

import (
	"testing"
)

// TestReadSignatures: one way to read .pcrsig.
func TestReadSignatures(t *testing.T) {
	const good = `{"sha256":[{"pcrs":[11],"pkfp":"","pol":"","sig":""}]}`
	if list, err := readSignatures([]byte(good + "\x00\x00")); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	for name, text := range map[string]string{
		"a doubled bank":     `{"sha256":[],` + good[1:],
		"a doubled member":   `{"sha256":[{"pol":"x","pcrs":[11],"pkfp":"","pol":"","sig":""}]}`,
		"in another case":    `{"sha256":[{"pcrs":[11],"pkfp":"","Pol":"","sig":""}]}`,
		"something behind":   good + "{}",
		"no bank of SHA-256": `{"sha1":[]}`,
	} {
		if list, err := readSignatures([]byte(text)); err == nil {
			t.Errorf("%s: %v", name, list)
		}
	}
}
