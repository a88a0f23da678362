package desktop

import (
	"context"
	"image"
	"strconv"
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
