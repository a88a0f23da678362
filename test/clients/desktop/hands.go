package desktop

import (
	"context"
	"errors"
	"image"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Type types a text where the focus is.
func (s *Session) Type(ctx context.Context, text string) error {
	_, err := s.Run(ctx, "xdotool", "type", "--delay", "8", "--", text)
	return err
}

// Key presses keys one after the other, by their names in X11, as "ctrl+a".
func (s *Session) Key(ctx context.Context, keys ...string) error {
	_, err := s.Run(ctx, "xdotool", append([]string{"key", "--delay", "30", "--"}, keys...)...)
	return err
}

// Point moves the pointer to a place on the screen. It comes from one beside it: windows
// take notice of a pointer that moves.
func (s *Session) Point(ctx context.Context, at image.Point) error {
	_, err := s.Run(ctx, "xdotool", "mousemove", strconv.Itoa(at.X-2), strconv.Itoa(at.Y-2), "mousemove", strconv.Itoa(at.X), strconv.Itoa(at.Y))
	return err
}

// Click clicks at a place on the screen with a button of the pointer, 1 being the left one.
func (s *Session) Click(ctx context.Context, at image.Point, button int) error {
	if err := s.Point(ctx, at); err != nil {
		return err
	}
	_, err := s.Run(ctx, "xdotool", "click", strconv.Itoa(button))
	return err
}

// DoubleClick clicks twice at a place on the screen with the left button.
func (s *Session) DoubleClick(ctx context.Context, at image.Point) error {
	if err := s.Point(ctx, at); err != nil {
		return err
	}
	_, err := s.Run(ctx, "xdotool", "click", "--repeat", "2", "--delay", "60", "1")
	return err
}

// Select marks words in an element of the last look with the pointer, where they stand
// last.
func (s *Session) Select(ctx context.Context, e Element, words string) error {
	at := strings.LastIndex(e.Text, words)
	if at < 0 || words == "" {
		return errors.New("cannot be selected: " + words)
	}
	first := utf8.RuneCountInString(e.Text[:at])
	from, err := s.eyes.ask(request{Do: "place", ID: e.ID, At: first})
	if err != nil {
		return err
	}
	to, err := s.eyes.ask(request{Do: "place", ID: e.ID, At: first + utf8.RuneCountInString(words) - 1})
	if err != nil {
		return err
	}
	begin, end := rectangle(from.Place), rectangle(to.Place)
	if err := s.Point(ctx, image.Pt(begin.Min.X+1, (begin.Min.Y+begin.Max.Y)/2)); err != nil {
		return err
	}
	x, y := end.Max.X, (end.Min.Y+end.Max.Y)/2
	_, err = s.Run(ctx, "xdotool", "mousedown", "1",
		"mousemove", strconv.Itoa(x-4), strconv.Itoa(y), "mousemove", strconv.Itoa(x), strconv.Itoa(y), "mouseup", "1")
	return err
}
