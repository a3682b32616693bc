package main

import (
	"dagger/image/internal/dagger"
)

const (
	programs = "/in/program/"
	program  = programs + "image"
	sandbox  = programs + "sandbox"
	record   = programs + "record"
	traces   = "/trace"
)

// Made is what steps made: the files of the last one, and the records of all; of
// those in another world the traces too, in the folder trace.
type Made struct {
	Files   *dagger.Directory
	Records *dagger.Directory
}

// together returns the records of several.
func together(list ...*Made) *dagger.Directory {
	records := dag.Directory()
	for _, m := range list {
		records = records.WithDirectory("/", m.Records)
	}
	return records
}

// container has the tools and the programs, and an empty /out.
func (m *Image) container() *dagger.Container {
	return dag.Container().WithRootfs(m.Tools).
		WithMountedFile(program, m.Program).
		WithMountedFile(sandbox, m.Sandbox).
		WithEnvVariable("SOURCE_DATE_EPOCH", m.Epoch).
		WithDirectory("/out", dag.Directory())
}

// unrecorded runs the image program for a result that goes into no image.
func unrecorded(args ...string) func(*dagger.Container) *dagger.Container {
	return func(c *dagger.Container) *dagger.Container {
		return c.WithExec(append([]string{sandbox, "--", program}, args...),
			dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	}
}

// step is a step before it runs: its container, with the inputs in their places,
// and the arguments for the recorder and the sandbox.
type step struct {
	name      string
	ctr       *dagger.Container
	record    []string
	sandbox   []string
	variation string
}

func (m *Image) step(name string) *step {
	ctr := m.container().
		WithMountedFile(record, m.Record).
		WithMountedFile("/in/selection/imagetools.json", m.Selection)
	if m.Variation != "" {
		ctr = ctr.
			WithEnvVariable("MANGOS_VARIATION", m.Variation).
			WithEnvVariable("MANGOS_TRACE", traces).
			WithDirectory(traces, dag.Directory())
	}
	return &step{name: name, ctr: ctr, variation: m.Variation}
}

// file gives the step an input under its name in the record.
func (s *step) file(name string, f *dagger.File) *step {
	s.ctr = s.ctr.WithMountedFile("/in/"+name, f)
	return s
}

func (s *step) folder(name string, d *dagger.Directory) *step {
	s.ctr = s.ctr.WithMountedDirectory("/in/"+name, d)
	return s
}

// files mounts files of a folder one by one. A file of a folder is known by its
// content, and the step is done again only when it is another; a folder that a
// step made is known by how it was made.
func (s *step) files(prefix string, from *dagger.Directory, names ...string) *step {
	for _, name := range names {
		s.file(prefix+name, from.File(name))
	}
	return s
}

// plan gives the step what the definition says of the image.
func (s *step) plan(p plan) *step { return s.file(planFile, p.file()) }

// run runs the image program under recorder and sandbox.
func (s *step) run(args ...string) *Made { return s.runs(append([]string{program}, args...)...) }

// runs runs a program under recorder and sandbox.
func (s *step) runs(run ...string) *Made {
	command := []string{record, "--step", s.name, "--record", "/record", "--container", "imagetools"}
	command = append(append(command, s.record...), "--", sandbox, "--in", "/in", "--out", "/out")
	command = append(append(command, s.sandbox...), "--")
	ctr := s.ctr.WithExec(append(command, run...), dagger.ContainerWithExecOpts{InsecureRootCapabilities: true})
	records := dag.Directory().WithFile(s.name+".json", ctr.File("/record"))
	if s.variation != "" {
		records = records.WithDirectory("trace", ctr.Directory(traces))
	}
	return &Made{Files: ctr.Directory("/out"), Records: records}
}

// sign runs a program that signs what is no step's product, without a record:
// evidence does not account for itself.
func (s *step) sign(command ...string) *dagger.Directory {
	run := append(append([]string{sandbox}, s.sandbox...), "--")
	return s.ctr.
		WithExec(append(run, command...), dagger.ContainerWithExecOpts{InsecureRootCapabilities: true}).
		Directory("/out")
}

// given returns the record of a folder that the organisation brings along.
func (m *Image) given(step, name string, folder *dagger.Directory) *dagger.Directory {
	ctr := dag.Container().
		WithFile("/bin/record", m.Record).
		WithMountedDirectory("/out/"+name, folder).
		WithExec([]string{"/bin/record", "--step", step, "--record", "/record"})
	return dag.Directory().WithFile(step+".json", ctr.File("/record"))
}
