// Package docs reads the command lines in the repository's documents, so that the tests of whoever owns a command can say whether
// it exists with these flags. It must not know any command.
package docs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Command is one command of a document.
type Command struct {
	Where string // file and line, for people
	// Words are the program's name and its arguments, without quotes. What only the shell knows, such as a variable's value, is
	// left as it is written.
	Words []string
	// Whole says that it stands in a block of commands, as somebody would run it; otherwise in a sentence, where arguments may
	// be left out.
	Whole bool
}

// maxFile bounds what is read of a document, in bytes.
const maxFile = 1 << 20

// Documents returns the paths of every document below root.
func Documents(root string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		if !d.IsDir() && filepath.Ext(path) == ".md" {
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

// Commands returns the commands of every document below root that begin with a word of programs.
func Commands(root string, programs ...string) ([]Command, error) {
	documents, err := Documents(root)
	if err != nil {
		return nil, err
	}
	var all []Command
	for _, path := range documents {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a document: %w", err)
		}
		if len(text) > maxFile {
			return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, fmt.Errorf("reading a document: %w", err)
		}
		found, err := In(filepath.ToSlash(name), string(text), programs...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

var (
	// fence begins or ends a block, which may be indented; the word after it is the block's language.
	fence = regexp.MustCompile("^ *```([a-z]*) *$")
	span  = regexp.MustCompile("`([^`\n]+)`")
)

// In returns the commands of one document. A block of commands that is none for a shell is an error.
func In(name, text string, programs ...string) ([]Command, error) {
	r := reader{name: name, programs: programs}
	for i, line := range strings.Split(text, "\n") {
		if err := r.read(i+1, line); err != nil {
			return nil, err
		}
	}
	if r.open {
		return nil, fmt.Errorf("%s:%d: the block does not end", name, r.begin)
	}
	return r.all, nil
}

// reader reads a document line by line.
type reader struct {
	name     string
	programs []string
	all      []Command

	open     bool // a block
	language string
	begin    int // its first line
	block    []string
}

func (r *reader) read(number int, line string) error {
	m := fence.FindStringSubmatch(line)
	switch {
	case m != nil && !r.open:
		r.open, r.language, r.begin, r.block = true, m[1], number+1, nil
	case m != nil:
		r.open = false
		if r.language == "sh" || r.language == "bash" {
			return r.take(strings.Join(r.block, "\n"), r.begin, true)
		}
	case r.open:
		r.block = append(r.block, line)
	default:
		for _, m := range span.FindAllStringSubmatch(line, -1) {
			// A sentence's code need not be a shell's.
			_ = r.take(strings.NewReplacer("…", "", `\|`, "|").Replace(m[1]), number, false)
		}
	}
	return nil
}

// take adds the commands of a shell's text that begins at a line.
func (r *reader) take(text string, line int, whole bool) error {
	found, err := parse(text, r.programs)
	if err != nil {
		return fmt.Errorf("%s:%d: %w", r.name, line, err)
	}
	for _, f := range found {
		r.all = append(r.all, Command{Where: fmt.Sprintf("%s:%d", r.name, line+f.line-1), Words: f.words, Whole: whole})
	}
	return nil
}

// call is a command and its line.
type call struct {
	words []string
	line  int
}

// parse returns the commands of a shell's text, those in pipes and substitutions too.
func parse(text string, programs []string) ([]call, error) {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, fmt.Errorf("this is no text for a shell: %w", err)
	}
	var all []call
	syntax.Walk(file, func(n syntax.Node) bool {
		c, ok := n.(*syntax.CallExpr)
		if !ok || len(c.Args) == 0 {
			return true
		}
		var words []string
		for _, w := range c.Args {
			words = append(words, plain(w))
		}
		for i, w := range words { // sudo, xargs and others run what follows them
			for _, p := range programs {
				if w == p {
					all = append(all, call{words[i:], int(c.Pos().Line())})
					return true
				}
			}
		}
		return true
	})
	return all, nil
}

// plain is a word without its quotes.
func plain(w *syntax.Word) string {
	var out strings.Builder
	var write func(parts []syntax.WordPart)
	write = func(parts []syntax.WordPart) {
		for _, p := range parts {
			switch p := p.(type) {
			case *syntax.Lit:
				out.WriteString(unescape(p.Value))
			case *syntax.SglQuoted:
				out.WriteString(p.Value)
			case *syntax.DblQuoted:
				write(p.Parts)
			default:
				var b bytes.Buffer
				_ = syntax.NewPrinter().Print(&b, p) // a buffer takes everything
				out.Write(b.Bytes())
			}
		}
	}
	write(w.Parts)
	return out.String()
}

var escape = regexp.MustCompile(`\\(.)`)

func unescape(s string) string {
	return escape.ReplaceAllString(strings.ReplaceAll(s, "\\\n", ""), "$1")
}
