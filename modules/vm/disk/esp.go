package disk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/mastercard/mangos/format/gpt"
)

// ESP is the EFI system partition of an image. It is changed with mtools.
type ESP struct {
	image *Image
	start int64
}

// ESP returns the image's EFI system partition.
func (i *Image) ESP() (*ESP, error) {
	p, err := i.Partition(gpt.TypeESP)
	if err != nil {
		return nil, fmt.Errorf("find the EFI system partition: %w", err)
	}
	return &ESP{image: i, start: p.Start}, nil
}

// Put writes the file or folder from into the partition as to, an absolute path, making
// the folders above it.
func (e *ESP) Put(ctx context.Context, from, to string) error {
	dir := ""
	for _, part := range parts(path.Dir(to)) {
		dir += "/" + part
		// mmd fails where the folder is there, which mdir then finds.
		if _, err := e.run(ctx, "mmd", "::"+dir); err != nil {
			if _, e := e.run(ctx, "mdir", "-b", "::"+dir); e != nil {
				return err
			}
		}
	}
	_, err := e.run(ctx, "mcopy", "-o", "-s", from, "::"+to)
	return err
}

// Write writes content into the partition as the file to.
func (e *ESP) Write(ctx context.Context, to string, content []byte) error {
	f, err := os.CreateTemp("", "esp-")
	if err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	return e.Put(ctx, f.Name(), to)
}

// Get copies a file of the partition to a file of this machine.
func (e *ESP) Get(ctx context.Context, from, to string) error {
	_, err := e.run(ctx, "mcopy", "-o", "::"+from, to)
	return err
}

// Remove deletes a file of the partition.
func (e *ESP) Remove(ctx context.Context, name string) error {
	_, err := e.run(ctx, "mdel", "::"+name)
	return err
}

// List returns the paths of the files below dir.
func (e *ESP) List(ctx context.Context, dir string) ([]string, error) {
	out, err := e.run(ctx, "mdir", "-/", "-b", "::"+dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for line := range strings.Lines(string(out)) {
		name := strings.TrimPrefix(strings.TrimSpace(line), "::")
		if name != "" && !strings.HasSuffix(name, "/") {
			files = append(files, name)
		}
	}
	return files, nil
}

func (e *ESP) run(ctx context.Context, tool string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, tool, append([]string{"-i", fmt.Sprintf("%s@@%d", e.image.Path, e.start)}, args...)...)
	cmd.Env = append(os.Environ(), "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1", "LC_ALL=C.UTF-8", "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %q", tool, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
