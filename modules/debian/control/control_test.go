package control

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestNext(t *testing.T) {
	const text = "\n# a comment\nPackage: one\nDepends: a,\n b\n .\n  c\nEmpty:\n\n\n\nPackage:two\r\n"
	r := NewReader(strings.NewReader(text))
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	want := Paragraph{{"Package", "one"}, {"Depends", "a,\nb\n.\n c"}, {"Empty", ""}}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("first paragraph: %q", first)
	}
	if first.Get("dEPENDS") != "a,\nb\n.\n c" || first.Get("none") != "" {
		t.Error("Get: wrong")
	}
	second, err := r.Next()
	if err != nil || second.Get("Package") != "two" {
		t.Errorf("second paragraph: %q, %v", second, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestNextRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"doubled field":     "A: 1\na: 2\n",
		"lone continuation": " x\n",
		"no colon":          "A\n",
		"no name":           ": x\n",
		"blank in a name":   "A B: x\n",
		"zero byte":         "A: \x00\n",
		"too long a line":   "A: " + strings.Repeat("x", MaxParagraph) + "\n",
		"too large":         "A: x\n" + strings.Repeat(" "+strings.Repeat("x", 1<<20)+"\n", 9),
		"too many fields":   manyFields(MaxFields + 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewReader(strings.NewReader(text)).Next(); !errors.Is(err, ErrSyntax) {
				t.Errorf("got %v, want ErrSyntax", err)
			}
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("F" + strings.Repeat("x", i) + ": y\n")
	}
	return b.String()
}

func TestSingle(t *testing.T) {
	for text, ok := range map[string]bool{"A: x\n": true, "": false, "A: x\n\nB: y\n": false} {
		if _, err := Single(strings.NewReader(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add("Package: one\nDepends: a,\n b\n\n")
	f.Add("#\n A\n:")
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader(strings.NewReader(text))
		for range 1000 {
			p, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrSyntax) {
					t.Fatalf("neither the end nor ErrSyntax: %v", err)
				}
				return
			}
			if len(p) == 0 {
				t.Fatal("an empty paragraph")
			}
			for _, field := range p {
				if field.Name == "" || strings.ContainsAny(field.Name, "\n :") {
					t.Fatalf("field name %q", field.Name)
				}
			}
		}
	})
}
