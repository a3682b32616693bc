//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mastercard/mangos/ci/launcher/build"
	"github.com/mastercard/mangos/ci/launcher/sdk"
)

// sdkSet is the set of locked packages behind the SDK image.
const sdkSet = "sdk"

// sdkImage makes the image in which modules are compiled from the lock, unless it
// is there, and returns its folder and digest. The image is known by what it is made
// from: the selection of packages and the engine's sources. To find it without
// running anything, each state of the lock has a file that names its image.
func (l *launcher) sdkImage(ctx context.Context, src build.Source, lock string) (dir, digest string, err error) {
	quick, err := hashFiles(src.Key, lock)
	if err != nil {
		return "", "", fmt.Errorf("read the lock: %w", err)
	}
	images := filepath.Join(l.state, "image")
	note := filepath.Join(images, "for-"+quick)
	if name, err := os.ReadFile(note); err == nil {
		dir = filepath.Join(images, filepath.Base(string(name)))
		if digest, ok := sdk.Digest(dir); ok {
			return dir, digest, nil
		}
	}
	work, err := os.MkdirTemp(l.state, "sdk-")
	if err != nil {
		return "", "", fmt.Errorf("make the SDK image: %w", err)
	}
	defer os.RemoveAll(work)
	if err := l.compilePackageTools(ctx, work); err != nil {
		return "", "", err
	}
	selection := filepath.Join(work, "selection.json")
	if err := l.debian(ctx, work, "select", "--set", sdkSet, "--out", selection, "--lock", lock); err != nil {
		return "", "", fmt.Errorf("make the SDK image: %w", err)
	}
	name, err := hashFiles(src.Key, selection)
	if err != nil {
		return "", "", fmt.Errorf("make the SDK image: %w", err)
	}
	dir = filepath.Join(images, name)
	digest, ok := sdk.Digest(dir)
	if !ok {
		if digest, err = l.makeImage(ctx, src, work, lock, dir); err != nil {
			return "", "", err
		}
	}
	if err := os.WriteFile(note, []byte(name), 0o644); err != nil {
		return "", "", fmt.Errorf("make the SDK image: %w", err)
	}
	return dir, digest, nil
}

// compilePackageTools compiles the programs that handle packages into work.
func (l *launcher) compilePackageTools(ctx context.Context, work string) error {
	return l.say.Do("compile the programs that handle packages", func() error {
		log := &strings.Builder{}
		return build.Go(ctx, l.repo, log, "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", work+"/",
			"./modules/debian/cmd/debian", "./modules/sandbox")
	})
}

// makeImage fetches the selected packages and the Go toolchain and writes the
// image to dir.
func (l *launcher) makeImage(ctx context.Context, src build.Source, work, lock, dir string) (digest string, err error) {
	selection := filepath.Join(work, "selection.json")
	packages, root := filepath.Join(work, "packages"), filepath.Join(work, "root")
	err = l.say.Do("fetch the locked packages of set "+sdkSet, func() error {
		return l.debian(ctx, work, "fetch", "--selection", selection, "--lock", lock,
			"--cache", filepath.Join(l.state, "packages"), "--out", packages)
	})
	if err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	err = l.say.Do("unpack and configure them", func() error {
		return l.debian(ctx, work, "bootstrap", "--selection", selection, "--packages", packages, "--root", root,
			"--sandbox", filepath.Join(work, "sandbox"))
	})
	if err != nil {
		return "", fmt.Errorf("make the SDK image: %w", err)
	}
	in := sdk.Inputs{Root: root, Codegen: filepath.Join(l.binDir(src), build.Codegen)}
	err = l.say.Do("fetch Go "+src.Toolchain, func() error {
		in.Toolchain, err = downloadToolchain(ctx, src.Toolchain)
		return err
	})
	if err != nil {
		return "", err
	}
	err = l.say.Do("make the image in which modules are compiled", func() error {
		digest, err = sdk.Write(dir, in)
		return err
	})
	return digest, err
}

// debian runs the program of that name, which says by itself what is wrong. The
// error wraps errGone when a locked file can be had nowhere.
func (l *launcher) debian(ctx context.Context, work string, args ...string) error {
	mirrors := ""
	if os.Getenv(settingsEnv) != "no" {
		var err error
		if mirrors, err = mirrorWords(); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(work, "debian"), args...)
	cmd.Env = append(os.Environ(), mirrorsEnv+"="+mirrors)
	cmd.Dir = work
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitGone {
		err = errGone
	}
	return fmt.Errorf("debian %s: %w\n%s", args[0], err, strings.TrimSpace(string(out)))
}

// hashFiles names the contents of the files, with salt, in 16 digits.
func hashFiles(salt string, files ...string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, salt)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s is missing: take it from git, or call from a complete checkout", file)
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%d\n", len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
