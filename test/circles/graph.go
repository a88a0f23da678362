package main

import "slices"

// graph is the files of one package and which other files each of them uses.
type graph struct {
	name  string
	edges map[string][]string
}

// largestCircle returns the names of the files in the largest strongly connected
// component, sorted. Where no two files need each other it has one.
func (g graph) largestCircle() []string {
	var largest []string
	for _, c := range g.components() {
		if len(c) > len(largest) {
			largest = c
		}
	}
	slices.Sort(largest)
	return largest
}

// components returns the strongly connected components, by Tarjan's algorithm.
func (g graph) components() [][]string {
	t := tarjan{graph: g, index: map[string]int{}, low: map[string]int{}}
	for _, file := range g.files() {
		if t.index[file] == 0 {
			t.visit(file)
		}
	}
	return t.found
}

func (g graph) files() []string {
	var files []string
	for file := range g.edges {
		files = append(files, file)
	}
	slices.Sort(files)
	return files
}

// tarjan is the state of Tarjan's algorithm. A file's index counts from 1 in the order
// of visits; low is the lowest index that it reaches among those on the stack.
type tarjan struct {
	graph
	index, low map[string]int
	stack      []string
	found      [][]string
}

func (t *tarjan) visit(file string) {
	t.index[file] = len(t.index) + 1
	t.low[file] = t.index[file]
	t.stack = append(t.stack, file)
	for _, next := range t.edges[file] {
		switch {
		case t.index[next] == 0:
			t.visit(next)
			t.low[file] = min(t.low[file], t.low[next])
		case slices.Contains(t.stack, next):
			t.low[file] = min(t.low[file], t.index[next])
		}
	}
	if t.low[file] != t.index[file] {
		return
	}
	begin := slices.Index(t.stack, file)
	t.found = append(t.found, slices.Clone(t.stack[begin:]))
	t.stack = t.stack[:begin]
}
