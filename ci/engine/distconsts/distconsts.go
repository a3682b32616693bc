// Package distconsts declares the constants of Dagger's package of the same
// name that the engine and the CLI use. It takes that package's place because
// Dagger publishes it as a module of its own, which not every module proxy
// serves. The paths are those that the programs expect to find when nothing
// else is said; the launcher overrides them by flags.
//
// The image references are empty on purpose: nothing in this project is pulled
// from a registry of images, and an empty reference fails where a real one
// would reach out.
package distconsts

// Where the engine listens and finds its helpers.
const (
	EngineContainerName              = "dagger-engine.dev"
	DefaultEngineSockAddr            = "unix:///run/dagger/engine.sock"
	RuncPath                         = "/usr/local/bin/runc"
	DaggerInitPath                   = "/usr/local/bin/dagger-init"
	EngineDefaultStateDir            = "/var/lib/dagger"
	EngineContainerBuiltinContentDir = "/usr/local/share/dagger/content"
	EngineCustomCACertsDir           = "/usr/local/share/ca-certificates"
)

// Names of the environment variables that hold the digests of SDK images, and
// of the annotation that carries an image's version.
const (
	GoSDKManifestDigestEnvName         = "DAGGER_GO_SDK_MANIFEST_DIGEST"
	PythonSDKManifestDigestEnvName     = "DAGGER_PYTHON_SDK_MANIFEST_DIGEST"
	TypescriptSDKManifestDigestEnvName = "DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST"
	OCIVersionAnnotation               = "org.opencontainers.image.version"
)

// Images that the engine would pull by name.
const (
	AlpineVersion  = ""
	AlpineImage    = ""
	GolangVersion  = ""
	GolangImage    = ""
	BusyboxVersion = ""
	BusyboxImage   = ""
)
