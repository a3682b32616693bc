package sbom

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/mastercard/mangos/format/dpkg"
)

// maxOwned bounds the files of a component whose owners are read.
const maxOwned = 500_000

// Owners tells of which package each file of a component is. Of packages it knows the
// name and version, theirs and their source's. Whether the document is right about that
// is for [CheckOwners].
func (x *Index) Owners(component string) (*dpkg.Database, error) {
	o := &ownership{
		packages: map[common.ElementID]*dpkg.Package{}, sources: map[common.ElementID]*spdx.Package{},
		names: map[common.ElementID]string{}, of: map[common.ElementID]common.ElementID{},
	}
	prefix := func(kind string) string { return `"SPDXRef-` + component + kind }
	for _, err := range []error{
		each(x.packages, `"SPDXID":`+prefix("-deb-"), o.addPackage),
		each(x.packages, `"SPDXID":"SPDXRef-source-`, o.addSource),
		each(x.files, `"SPDXID":`+prefix("-file-"), o.addFile),
		each(x.relationships, `"spdxElementId":`+prefix("-deb-"), o.relate),
	} {
		if err != nil {
			return nil, fmt.Errorf("owners of %s: %w", component, err)
		}
	}
	return o.database(), nil
}

// ownership is what a document says of a component.
type ownership struct {
	packages map[common.ElementID]*dpkg.Package
	sources  map[common.ElementID]*spdx.Package
	names    map[common.ElementID]string
	of       map[common.ElementID]common.ElementID // file to package
}

// each reads the lines of a list that have a text in them.
func each[T any](lines []byte, text string, f func(*T) error) error {
	for line := range bytes.Lines(lines) {
		if !bytes.Contains(line, []byte(text)) {
			continue
		}
		v := new(T)
		if err := unmarshal(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte(",")), v); err != nil {
			return err
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func (o *ownership) addPackage(p *spdx.Package) error {
	o.packages[p.PackageSPDXIdentifier] = &dpkg.Package{Name: p.PackageName, Version: p.PackageVersion, Source: p.PackageName, SourceVersion: p.PackageVersion}
	return o.bounded()
}

func (o *ownership) addSource(p *spdx.Package) error {
	o.sources[p.PackageSPDXIdentifier] = p
	return o.bounded()
}

func (o *ownership) addFile(f *spdx.File) error {
	o.names[f.FileSPDXIdentifier] = "/" + strings.TrimPrefix(f.FileName, "./")
	return o.bounded()
}

func (o *ownership) bounded() error {
	if len(o.packages)+len(o.sources)+len(o.names) > maxOwned {
		return fmt.Errorf("more than %d packages and files: %w", maxOwned, ErrDocument)
	}
	return nil
}

func (o *ownership) relate(r *spdx.Relationship) error {
	id, other := r.RefA.ElementRefID, r.RefB.ElementRefID
	p := o.packages[id]
	if p == nil {
		return fmt.Errorf("%s is related, and no package: %w", id, ErrDocument)
	}
	switch r.Relationship {
	case common.TypeRelationshipGeneratedFrom:
		if s := o.sources[other]; s != nil {
			p.Source, p.SourceVersion = s.PackageName, s.PackageVersion
		}
	case common.TypeRelationshipContains:
		if before, ok := o.of[other]; ok && before != id {
			return fmt.Errorf("%s is in %s and in %s: %w", other, before, id, ErrDocument)
		}
		o.of[other] = id
	}
	return nil
}

func (o *ownership) database() *dpkg.Database {
	d := dpkg.New()
	ids := make([]common.ElementID, 0, len(o.packages))
	for id := range o.packages {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		d.Add(*o.packages[id])
	}
	for file, id := range o.of {
		if name := o.names[file]; name != "" {
			d.Own(name, *o.packages[id])
		}
	}
	return d
}
